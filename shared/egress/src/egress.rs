//! `Egress`: what all brokers of one process share.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use drydock_address::{Unknown, lookup};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::{metrics::EgressMetrics, refusal::Refusal};

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
    /// Until the other side takes a connection, and its TLS stands.
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
    /// Read when the first endpoint is asked, since it takes some milliseconds.
    trust: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
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
        Self { trust: Arc::new(OnceLock::from(client(roots))), ..self }
    }

    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unknown> {
        match &*self.names {
            Names::System => lookup(name).await,
            Names::List(list) => list.get(name).cloned().filter(|found| !found.is_empty()).ok_or(Unknown),
        }
    }

    pub(crate) fn trust(&self) -> Result<Arc<ClientConfig>, Refusal> {
        self.trust.get_or_init(system).clone().map_err(Refusal::Trust)
    }
}

/// The host's authorities; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn system() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => Err(found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string)),
        false => client(roots),
    }
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
