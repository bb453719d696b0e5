//! Projects: created with a first job, imported from an archive, listed, shown, deleted.

mod create;
mod delete;
mod import;
mod list;
mod request;
mod show;
mod views;

pub(crate) use self::{create::*, delete::*, import::*, list::*, show::*};
