//! What can go wrong with the broker.

use std::time::Duration;

use drydock_runtime::exit::Exit;

/// An operation on RabbitMQ that failed. Whoever sees one drops the connection and builds a new one.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL does not parse; its text is not repeated, it holds a password.
    #[error("DRYDOCK_AMQP_URL is no AMQP URL like amqp://user:password@host:5672/%2f")]
    Url,
    /// No connection could be made.
    #[error("cannot connect to RabbitMQ (look at DRYDOCK_AMQP_URL)")]
    Connect(#[source] lapin::Error),
    /// An operation failed.
    #[error("failed to {operation}")]
    Operation {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: lapin::Error,
    },
    /// The broker did not answer in time; it may have run into a memory or disk alarm.
    #[error("RabbitMQ did not answer within {} s while trying to {operation}", waited.as_secs())]
    Timeout {
        /// What was being done.
        operation: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The broker takes no messages on this connection.
    #[error("RabbitMQ has blocked this connection: it ran into a memory or disk alarm")]
    Blocked,
    /// The acknowledgement came too late: its channel is gone, and the ticket will be delivered again.
    #[error("the channel of a delivery is gone")]
    ChannelGone,
}

/// What an error at start means for the process.
impl From<QueueError> for Exit {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Url => Self::Usage(error.into()),
            other => Self::Unavailable(other.into()),
        }
    }
}
