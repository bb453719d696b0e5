//! Webhooks: whom a tenant wants told of ends. Kept here; the dispatchers send. A secret is shown once, by what made it.

mod change;
mod create;
mod deliveries;
mod list;
mod redeliver;
mod remove;
mod request;
mod rotate;
mod show;
mod test;
mod views;

pub(crate) use self::{
    change::*, create::*, deliveries::*, list::*, redeliver::*, remove::*, request::MAX_WEBHOOKS, rotate::*, show::*,
    test::*,
};
