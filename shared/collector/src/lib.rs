#![doc = include_str!("../README.md")]

mod audit;
mod config;
mod delete;
mod error;
mod pass;

pub use audit::{Audit, AuditOptions, Finding};
pub use config::CollectorConfig;
pub use delete::Deletion;
pub use error::CollectError;
pub use pass::{Collector, Pass};
