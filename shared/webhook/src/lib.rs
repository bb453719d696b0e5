#![doc = include_str!("../README.md")]

pub mod config;
pub mod policy;
mod resolver;
pub mod secret;
pub mod sender;
pub mod target;
pub mod vault;

pub use config::WebhookConfig;
pub use policy::{Allowed, Policy};
pub use secret::{SigningSecret, signatures};
pub use sender::{Attempt, Failure, Message, Sender};
pub use target::{Target, TargetError};
pub use vault::{Unopened, Vault};
