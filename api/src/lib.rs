#![doc = include_str!("../README.md")]

mod agents;
mod aliases;
mod audit;
mod auth;
mod batches;
pub mod config;
mod error;
mod events;
mod extract;
mod files;
mod jobs;
mod keys;
mod limits;
mod logs;
mod metrics;
mod middleware;
mod openapi;
mod operations;
mod packs;
mod projects;
mod rate;
mod router;
mod run;
mod schedules;
mod state;
mod stream;
mod tenants;
mod usage;
mod users;
mod validate;
mod versions;
mod webhooks;
mod whoami;
mod workers;

pub use config::{ApiConfig, Secrets};
pub use run::{Listeners, run};
