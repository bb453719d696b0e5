//! Jobs: accepted, listed, shown.

mod list;
mod request;
mod show;
mod submit;
mod views;
mod wait;

pub(crate) use self::{
    list::*,
    request::{DEFAULT_ISOLATION, ISOLATIONS, MAX_RETRIES, idempotency},
    show::*,
    submit::*,
    views::JobView,
    wait::until_final,
};
