//! Versions of a project: listed, compared, restored.

mod diff;
mod list;
mod restore;
mod views;

pub(crate) use self::{diff::*, list::*, restore::*};
