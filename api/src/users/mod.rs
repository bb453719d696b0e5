//! Users: the people of a tenant. What they may do they do by keys, which have no more rights than their user's role.

mod change;
mod create;
mod list;
mod show;
mod views;

pub(crate) use self::{change::*, create::*, list::*, show::*};
