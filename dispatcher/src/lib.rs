#![doc = include_str!("../README.md")]

pub mod config;
mod context;
mod lead;
mod loops;
mod metrics;
mod service;
pub mod webhooks;

pub use config::DispatcherConfig;
pub use service::run;
