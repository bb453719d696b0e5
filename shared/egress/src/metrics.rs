//! Metrics of the agents' ways out.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was passed on.
    Allowed,
    /// Its host is not among the agent's domains, its path is no endpoint's.
    Domain,
    /// Its host's name leads to an address that is not allowed.
    Address,
    /// It did not bear the attempt's credential.
    Credential,
    /// It is no request.
    Malformed,
    /// The other side could not be reached, or gave no answer.
    Unreachable,
}

impl Outcome {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Allowed, Self::Domain, Self::Address, Self::Credential, Self::Malformed, Self::Unreachable];

    /// The word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Domain => "domain",
            Self::Address => "address",
            Self::Credential => "credential",
            Self::Malformed => "malformed",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Counters and the gauge of this crate.
#[derive(Clone, Debug)]
pub struct EgressMetrics {
    requests: IntCounterVec,
    pub(crate) bytes_out: IntCounter,
    pub(crate) bytes_in: IntCounter,
    pub(crate) connections: IntGauge,
}

impl EgressMetrics {
    /// Makes and registers them; each outcome starts at 0.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new(
            "drydock_worker_egress_requests_total",
            "Requests of agents to their brokers, by what became of them.",
        );
        let requests = IntCounterVec::new(requests, &["outcome"])?;
        let bytes = Opts::new(
            "drydock_worker_egress_bytes_total",
            "Bytes between brokers and the servers that agents reached.",
        );
        let bytes = IntCounterVec::new(bytes, &["direction"])?;
        let connections =
            IntGauge::new("drydock_worker_egress_connections", "Connections that agents have to their brokers now.")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        Outcome::ALL.iter().for_each(|outcome| drop(requests.with_label_values(&[outcome.as_str()])));
        let of = |direction| bytes.with_label_values(&[direction]);
        Ok(Self { requests, bytes_out: of("out"), bytes_in: of("in"), connections })
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.requests.with_label_values(&[outcome.as_str()]).inc();
    }
}
