#![doc = include_str!("../README.md")]

pub mod agent;
mod boottime;
mod breaker;
pub mod cache;
mod claims;
pub mod config;
mod context;
mod control;
mod grouped;
mod intake;
mod job;
mod kill_point;
mod lease;
mod log;
mod metrics;
mod mount;
mod node;
mod running;
mod service;
mod spool;
pub mod workspace;

pub use config::WorkerConfig;
pub use lease::OnLostContact;
pub use service::run;
