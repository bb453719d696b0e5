//! `Egress`: what all brokers of one process share.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use drydock_address::{Unknown, lookup};
use rustls::{ClientConfig, RootCertStore};

use crate::{metrics::EgressMetrics, refusal::Refusal, trust::Trust};

/// How names become addresses.
#[derive(Clone, Debug, Default)]
pub enum Names {
    /// As the host asks for them.
    #[default]
    System,
    /// By this list alone, where there are no name servers.
    List(BTreeMap<String, Vec<IpAddr>>),
}

/// Bounds of one broker.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of the agent at once; those beyond wait.
    pub connections: usize,
    /// Until the head of a request is there, and between two requests on one connection.
    pub head: Duration,
    /// Until one of the other side's addresses takes a connection, and as long again until its TLS stands.
    pub connect: Duration,
    /// How long nothing may be said between the broker and the other side. Longer than an agent may be frozen, and than a model thinks.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 128,
            head: Duration::from_secs(15),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30 * 60),
        }
    }
}

/// Names, trust, bounds and metrics of a process's brokers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    names: Arc<Names>,
    pub(crate) bounds: Bounds,
    trust: Arc<Trust>,
    pub(crate) metrics: Option<EgressMetrics>,
}

impl Egress {
    /// One that counts.
    pub fn new(metrics: EgressMetrics) -> Self {
        Self { metrics: Some(metrics), ..Self::default() }
    }

    /// The same with other names.
    #[must_use]
    pub fn with_names(self, names: Names) -> Self {
        Self { names: Arc::new(names), ..self }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same with endpoints that these authorities vouch for, instead of those of the host.
    #[must_use]
    pub fn with_roots(self, roots: RootCertStore) -> Self {
        Self { trust: Arc::new(Trust::of(roots)), ..self }
    }

    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unknown> {
        match &*self.names {
            Names::System => lookup(name).await,
            Names::List(list) => list.get(name).cloned().filter(|found| !found.is_empty()).ok_or(Unknown),
        }
    }

    pub(crate) fn trust(&self) -> Result<Arc<ClientConfig>, Refusal> {
        self.trust.config()
    }
}
