//! The only crate that knows AMQP. RabbitMQ carries tickets: who holds one should try to claim a job. Losing every ticket
//! costs seconds, never a job, so nothing here is a store.

pub mod config;
pub mod connection;
pub mod consumer;
pub mod control;
pub mod error;
pub mod metrics;
pub mod publisher;
pub mod topology;

pub use config::QueueConfig;
pub use connection::Broker;
pub use consumer::{Death, Delivery, Subscription};
pub use control::{Hint, Hints};
pub use error::QueueError;
pub use metrics::QueueMetrics;
pub use publisher::{Published, Publisher};
