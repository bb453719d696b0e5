//! Projects: created with a first job, imported from an archive, forked, listed, shown.

mod create;
mod fork;
mod import;
mod list;
mod request;
mod show;
mod views;

pub(crate) use self::{create::*, fork::*, import::*, list::*, show::*};
