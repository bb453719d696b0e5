#![doc = include_str!("../README.md")]

mod advertise;
mod ahead;
mod boottime;
mod breaker;
pub mod cache;
mod claims;
mod commands;
pub mod config;
mod context;
mod control;
mod cordon;
mod doctor;
mod grouped;
mod intake;
mod isolation;
mod job;
mod kill_point;
mod lease;
mod leave;
mod log;
mod metrics;
mod mount;
mod node;
mod offers;
mod permit;
mod running;
mod service;
mod spool;
pub mod workspace;

pub use commands::Commands;
pub use config::WorkerConfig;
pub use doctor::doctor;
pub use isolation::{IsolationConfig, Reach, Wanted};
pub use lease::OnLostContact;
pub use mount::unmount_below;
pub use service::run;
