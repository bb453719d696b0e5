//! Tenants, for operators: made with the first key of each, listed.

mod create;
mod list;
mod views;

pub(crate) use self::{create::*, list::*};
