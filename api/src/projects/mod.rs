//! Projects: created with a first job, imported from an archive, listed, shown.

mod create;
mod import;
mod list;
mod request;
mod show;
mod views;

pub(crate) use self::{create::*, import::*, list::*, show::*};
