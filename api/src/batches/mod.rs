//! Batches: made, filled line by line, watched, paused, cancelled, their failures run again.

mod change;
mod create;
mod events;
mod failures;
pub(crate) mod lines;
mod list;
mod request;
mod results;
mod retry;
mod search;
mod settle;
mod show;
mod views;

pub(crate) use self::{
    change::*, create::*, events::*, failures::*, lines::*, list::*, results::*, retry::*, search::*, settle::*,
    show::*,
};
