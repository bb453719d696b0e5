//! The users of a run. They ask any API, ask again with the same key when they do not know, and write down what they were told.

mod api;
mod kinds;
mod ledger;
mod meddler;
mod submitter;

pub(crate) use self::{
    api::Api,
    ledger::{Counts, Ledger},
    meddler::meddle,
    submitter::{Desk, projects, submit},
};
