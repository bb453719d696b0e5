//! `/workers`: who is there, and who is to take no more jobs. One file a route.

mod drain;
mod list;
mod show;
mod views;

pub(crate) use self::{drain::*, list::*, show::*};
