//! Users: the people of a tenant. What they may do they do by keys, which have no more rights than their user's role.

mod create;
mod list;
mod views;

pub(crate) use self::{create::*, list::*};
