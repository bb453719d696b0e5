//! Projects: created with a first job, imported from an archive, forked, listed, shown, changed, deleted.

mod change;
mod create;
mod delete;
mod fork;
mod import;
mod list;
mod request;
mod show;
mod views;

pub(crate) use self::{change::*, create::*, delete::*, fork::*, import::*, list::*, show::*};
