//! Settings of the services of a run: production's protocol, at about a thirtieth of its intervals.

use anyhow::Result;

use crate::chaos::servers::Servers;

/// How long a worker's lease lasts, in milliseconds.
pub(crate) const LEASE_MS: u64 = 2000;

/// What all services share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// This run's own database.
    pub(crate) database: String,
    /// This run's own pool.
    pub(crate) pool: String,
    /// Before all object keys.
    pub(crate) prefix: String,
}

impl Common {
    /// The environment of every service, without the addresses of the servers.
    pub(super) fn settings(&self, servers: &Servers) -> Result<Vec<(String, String)>> {
        let lease = format!("{LEASE_MS}ms");
        let fixed = [
            ("DRYDOCK_S3_PREFIX", self.prefix.as_str()),
            ("DRYDOCK_S3_TIMEOUT", "2s"),
            ("DRYDOCK_POOL", &self.pool),
            ("DRYDOCK_DEFAULT_POOL", &self.pool),
            ("DRYDOCK_DEFAULT_AGENT", "dummy"),
            ("DRYDOCK_API_JOB_RATE", "0"),
            ("DRYDOCK_API_CHANGE_RATE", "0"),
            ("DRYDOCK_SLOTS", "3"),
            ("DRYDOCK_LEASE_TTL", &lease),
            ("DRYDOCK_LEASE_GRACE", "1s"),
            ("DRYDOCK_LEAD_TTL", "1s"),
            ("DRYDOCK_CLAIM_TIMEOUT", "1s"),
            ("DRYDOCK_REPAIR_PERIOD", "200ms"),
            ("DRYDOCK_DISPATCH_POLL", "100ms"),
            ("DRYDOCK_BRAKE_TIMEOUT", "2s"),
            ("DRYDOCK_DRAIN_TIMEOUT", "1s"),
            ("DRYDOCK_AGENT_GRACE", "500ms"),
            // Agents outlive a worker that is killed only where they have no walls; that is a fault to survive.
            ("DRYDOCK_ISOLATION", "none"),
            ("DRYDOCK_AMQP_TIMEOUT", "2s"),
            ("DRYDOCK_AMQP_HEARTBEAT", "1s"),
            ("DRYDOCK_API_SHUTDOWN_GRACE", "2s"),
            ("DRYDOCK_DATABASE_POOL_SIZE", "6"),
            ("DRYDOCK_DATABASE_STATEMENT_TIMEOUT", "3s"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ];
        let mut settings: Vec<_> = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for name in ["DRYDOCK_S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            settings.push((name.to_owned(), servers.setting(name)?.to_owned()));
        }
        Ok(settings)
    }
}
