//! Connections: one to publish, one to consume, never shared (a blocked connection writes nothing at all, acks included).
//! lapin's own recovery stays off: whoever owns a connection tears it down on any error and builds a new one.

use std::{future::Future, time::Duration};

use drydock_runtime::start;
use lapin::{Channel, Connection, ConnectionProperties, uri::AMQPUri};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{QueueConfig, QueueError, QueueMetrics};

/// Where the broker is and how patient to be with it; cheap to clone.
#[derive(Clone)]
pub struct Broker {
    uri: AMQPUri,
    timeout: Duration,
    start_timeout: Duration,
    pub(crate) metrics: QueueMetrics,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("host", &self.uri.authority.host)
            .field("port", &self.uri.authority.port)
            .finish_non_exhaustive()
    }
}

/// An open connection with its one channel.
pub(crate) struct Link {
    connection: Connection,
    pub(crate) channel: Channel,
    role: &'static str,
    metrics: QueueMetrics,
}

impl Broker {
    /// A broker at `url`; connects when first used.
    ///
    /// # Errors
    /// The URL does not parse.
    pub fn new(config: &QueueConfig, url: &SecretString, metrics: QueueMetrics) -> Result<Self, QueueError> {
        let mut uri: AMQPUri = url.expose_secret().parse().map_err(|_| QueueError::Url)?;
        uri.query.heartbeat = Some(u16::try_from(config.amqp_heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
        Ok(Self { uri, timeout: config.amqp_timeout, start_timeout: config.amqp_start_timeout, metrics })
    }

    /// Waits at start until the broker answers, at most `amqp_start_timeout`.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn wait(&self) -> Result<(), QueueError> {
        start::wait_for("RabbitMQ", self.start_timeout, |_| true, || self.check()).await
    }

    /// Whether the broker accepts a connection.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), QueueError> {
        self.open("check").await?.close().await;
        Ok(())
    }

    pub(crate) async fn open(&self, role: &'static str) -> Result<Link, QueueError> {
        let properties = ConnectionProperties::default().with_connection_name(format!("drydock {role}").into());
        let connect = self.within("connect", async {
            let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
            let channel = connection.create_channel().await?;
            Ok((connection, channel))
        });
        let (connection, channel) = connect.await.map_err(|error| match error {
            QueueError::Operation { source, .. } => QueueError::Connect(source),
            other => other,
        })?;
        self.metrics.up.with_label_values(&[role]).set(1);
        Ok(Link { connection, channel, role, metrics: self.metrics.clone() })
    }

    /// Awaits declarations with the same timeout as any other call.
    pub(crate) async fn declaring<T>(
        &self,
        declaration: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        let waited = self.timeout;
        let operation = "declare exchanges and queues";
        tokio::time::timeout(waited, declaration).await.unwrap_or(Err(QueueError::Timeout { operation, waited }))
    }

    /// Awaits one broker call with its timeout: without it a blocked connection hangs for ever, in silence.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, QueueError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(QueueError::Operation { operation, source }),
            Err(_) => Err(QueueError::Timeout { operation, waited: self.timeout }),
        }
    }
}

impl Link {
    /// Whether the connection and its channel stand, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Whether the broker takes no messages at the moment (a memory or disk alarm).
    pub(crate) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Closes in order, but not at any price: a blocked connection would wait for ever.
    pub(crate) async fn close(&self) {
        let _closed_or_given_up =
            tokio::time::timeout(Duration::from_secs(2), self.connection.close(200, "bye".into())).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.metrics.up.with_label_values(&[self.role]).set(0);
    }
}
