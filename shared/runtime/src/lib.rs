//! Process plumbing every Drydock service needs: settings, telemetry, tasks, shutdown, loops, back-off, operations endpoints.

pub mod admin;
pub mod backoff;
pub mod build_info;
pub mod config;
pub mod doctor;
pub mod exit;
pub mod group;
pub mod metrics;
pub mod periodic;
pub mod shutdown;
pub mod start;
pub mod tasks;
pub mod telemetry;

pub use backoff::Backoff;
pub use shutdown::Shutdown;
