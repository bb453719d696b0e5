//! Events: every change of a job, streamed from their rows, whichever replica is asked.

mod all;
mod feed;
mod of_job;
mod views;

pub(crate) use self::{
    all::*,
    feed::{Feed, Watch},
    of_job::*,
};
