//! Changes by hand: a file put or deleted, or many at once, each a new version whose parent is the head. Time and storage go by what
//! changes, not by the tree. Nothing is written over: the head decides, by compare-and-swap.

mod commit;
mod condition;
mod content;
mod many;
mod one;
mod place;
mod put;
mod remove;
mod views;

pub(crate) use self::{many::*, put::*, remove::*};
