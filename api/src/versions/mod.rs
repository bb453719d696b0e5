//! Versions of a project: listed, compared.

mod compare;
mod diff;
mod list;

pub(crate) use self::{diff::*, list::*};
