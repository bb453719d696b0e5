//! The only crate that knows SQL: one module per table, every transition a stored function behind a named constant.

pub mod again;
pub mod api_key;
pub mod attempt;
pub mod audit;
pub mod batch;
pub mod config;
pub mod error;
pub mod event;
pub mod fleet;
pub mod horizon;
pub mod identity;
pub mod job;
pub mod leader;
pub mod log_chunk;
pub mod log_read;
pub mod migrate;
pub mod pack;
pub mod page;
pub mod pool;
pub mod project;
mod raw_json;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod schema;
pub mod tenant;
pub mod usage;
pub mod user;
pub mod version;
pub mod wake;
pub mod worker;
pub mod worker_list;

pub use config::DatabaseConfig;
pub use deadpool_postgres::GenericClient;
pub use error::DatabaseError;
pub use pool::{Client, Database};
