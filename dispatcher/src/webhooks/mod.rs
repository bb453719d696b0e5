//! Telling webhooks: what is said, to whom and how often. Which deliveries there are is the database's affair.

mod body;
pub mod config;
mod courier;
mod pauses;

pub use self::config::WebhooksConfig;
pub(crate) use self::{courier::Courier, pauses::Pauses};
