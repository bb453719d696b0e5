#![doc = include_str!("../README.md")]

pub mod agent;
mod boottime;
mod breaker;
pub mod config;
mod context;
mod control;
mod intake;
mod job;
mod lease;
mod log;
mod metrics;
mod running;
mod service;
mod spool;
pub mod workspace;

pub use config::WorkerConfig;
pub use lease::OnLostContact;
pub use service::run;
