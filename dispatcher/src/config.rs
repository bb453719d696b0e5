//! Settings of the dispatcher.

use std::{net::SocketAddr, time::Duration};

use drydock_collector::CollectorConfig;
use drydock_database::DatabaseConfig;
use drydock_queue::QueueConfig;
use drydock_runtime::{
    config::{duration, positive_duration},
    telemetry::TelemetryConfig,
};
use drydock_storage::StorageConfig;

use crate::webhooks::WebhooksConfig;

/// Admits jobs, publishes their tickets, takes back what dead workers left
///
/// Secrets come from the environment or from files: `DRYDOCK_DATABASE_URL`, `DRYDOCK_AMQP_URL`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY` and `DRYDOCK_WEBHOOK_KEY` (the one of the API), each also as `NAME_FILE`.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "drydock-dispatcher", version = drydock_runtime::build_info::VERSION)]
pub struct DispatcherConfig {
    /// Address of the operations endpoints (/livez, /readyz, /metrics, /version)
    #[arg(long, env = "DRYDOCK_ADMIN_ADDR", default_value = "127.0.0.1:9091")]
    pub admin_addr: SocketAddr,
    /// How long a lead lasts without renewal
    #[arg(long, env = "DRYDOCK_LEAD_TTL", default_value = "10s", value_parser = positive_duration)]
    pub lead_ttl: Duration,
    /// Longest time between two looks for jobs to admit; wake-ups make it shorter
    #[arg(long, env = "DRYDOCK_DISPATCH_POLL", default_value = "200ms", value_parser = positive_duration)]
    pub dispatch_poll: Duration,
    /// How long a ticket may stay unclaimed before it is sent again
    #[arg(long, env = "DRYDOCK_CLAIM_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub claim_timeout: Duration,
    /// How long a job is offered to a worker that has its base version before the whole pool hears of it; `0s` offers nothing
    #[arg(long, env = "DRYDOCK_LOCALITY_WAIT", default_value = "200ms", value_parser = duration)]
    pub locality_wait: Duration,
    /// How long after the end of its lease a worker is over; from a sixth of the lease on, workers that are cut off together are
    /// seen together, and held for two more leases
    #[arg(long, env = "DRYDOCK_LEASE_GRACE", default_value = "12s", value_parser = positive_duration)]
    pub lease_grace: Duration,
    /// The lease that workers take; after an outage nobody is declared over for this long plus the grace
    #[arg(long, env = "DRYDOCK_LEASE_TTL", default_value = "60s", value_parser = positive_duration)]
    pub lease_ttl: Duration,
    /// Time between two looks for dead workers, due jobs and unsealed logs
    #[arg(long, env = "DRYDOCK_REPAIR_PERIOD", default_value = "1s", value_parser = positive_duration)]
    pub repair_period: Duration,
    /// How long a transaction of anybody's may stay open in the database before there is a warning
    #[arg(long, env = "DRYDOCK_TRANSACTION_ALARM", default_value = "1m", value_parser = positive_duration)]
    pub transaction_alarm: Duration,
    /// Time between two looks for stored files that nothing needs any more
    #[arg(long, env = "DRYDOCK_GC_PERIOD", default_value = "1m", value_parser = positive_duration)]
    pub gc_period: Duration,
    /// What of them is kept, and how long
    #[command(flatten)]
    pub collector: CollectorConfig,
    /// Webhooks
    #[command(flatten)]
    pub webhooks: WebhooksConfig,
    /// Process log
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// PostgreSQL
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// RabbitMQ
    #[command(flatten)]
    pub queue: QueueConfig,
    /// Object storage
    #[command(flatten)]
    pub storage: StorageConfig,
}
