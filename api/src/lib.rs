#![doc = include_str!("../README.md")]

mod agents;
mod aliases;
mod batches;
pub mod config;
mod error;
mod events;
mod extract;
mod files;
mod jobs;
mod limits;
mod logs;
mod metrics;
mod middleware;
mod openapi;
mod operations;
mod projects;
mod router;
mod run;
mod schedules;
mod state;
mod stream;
mod validate;
mod versions;
mod workers;

pub use config::{ApiConfig, Secrets};
pub use run::{Listeners, run};
