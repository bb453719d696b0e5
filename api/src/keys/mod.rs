//! API keys: made, listed, shown, revoked. The secret is in the answer that made the key, and nowhere else.

mod create;
mod list;
mod request;
mod revoke;
mod show;
mod views;

pub(crate) use self::{
    create::*,
    list::*,
    request::{ROLES, once_only},
    revoke::*,
    show::*,
    views::{KeyView, secret_response},
};
