//! Tenants, for operators: made with the first key of each, listed, changed.

mod change;
mod create;
mod list;
mod show;
mod views;

pub(crate) use self::{change::*, create::*, list::*, show::*};
