//! Schedules: jobs at set times. The dispatcher fires them; here they are kept.

mod change;
mod create;
mod list;
mod remove;
mod request;
mod show;
mod views;

pub(crate) use self::{change::*, create::*, list::*, remove::*, show::*};
