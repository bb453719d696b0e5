//! Jobs: accepted, listed, shown, cancelled, run again.

mod cancel;
mod intake;
mod list;
mod request;
mod retry;
mod show;
mod submit;
mod tokens;
mod views;
mod wait;
mod waiting;

pub(crate) use self::{
    cancel::*,
    intake::Intake,
    list::*,
    request::{Asked, DEFAULT_ISOLATION, ISOLATIONS, JobRequest, MAX_RETRIES, idempotency},
    retry::*,
    show::*,
    submit::*,
    tokens::TokensView,
    views::JobView,
    wait::until_final,
};
