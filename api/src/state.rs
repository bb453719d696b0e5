//! `App`: what every handler works with. No globals.

use std::sync::Arc;

use drydock_database::{Client, Database, DatabaseError, wake::Waker};
use drydock_domain::TenantId;
use drydock_runtime::Shutdown;
use drydock_storage::{ManifestCache, Storage};
use drydock_webhook::{Policy, Vault};
use tokio::sync::Semaphore;

use crate::{
    agents::KnownAgents,
    audit::AuditLog,
    auth::{Gate, Keys, Tokens},
    config::ApiConfig,
    events::Feed,
    jobs::Intake,
    logs,
    metrics::ApiMetrics,
    rate::{Rate, Strikes},
    uploads::Uploads,
};

/// A handle for handlers.
pub(crate) type Shared = Arc<App>;

/// Clients, settings and the little that is kept in memory; nothing here is the only copy of anything.
pub(crate) struct App {
    pub(crate) config: ApiConfig,
    pub(crate) database: Database,
    pub(crate) storage: Storage,
    pub(crate) manifests: ManifestCache,
    pub(crate) waker: Waker,
    pub(crate) feed: Feed,
    /// Where submissions go.
    pub(crate) intake: Intake,
    /// Where records of requests go.
    pub(crate) audit: AuditLog,
    pub(crate) agents: KnownAgents,
    /// Whether keys are asked for at all.
    pub(crate) gate: Gate,
    /// Which keys count.
    pub(crate) keys: Keys,
    /// How often a tenant may ask for jobs, where that is limited.
    pub(crate) job_rate: Option<Rate>,
    /// The same for other changes.
    pub(crate) change_rate: Option<Rate>,
    /// Which addresses present keys that are nobody's, where that is limited.
    pub(crate) strikes: Option<Strikes>,
    /// Which tokens of issuers count.
    pub(crate) tokens: Tokens,
    /// What secrets of webhooks are kept with.
    pub(crate) vault: Option<Vault>,
    /// Where webhooks may point.
    pub(crate) webhooks: Policy,
    pub(crate) metrics: ApiMetrics,
    /// Where files and archives come in.
    pub(crate) uploads: Uploads,
    /// One permit an open stream.
    pub(crate) streams: Arc<Semaphore>,
    /// One permit a connected daemon.
    pub(crate) daemons: Arc<Semaphore>,
    /// Who may search in logs.
    pub(crate) searches: logs::Door,
    pub(crate) shutdown: Shutdown,
    /// The OpenAPI document, written once.
    pub(crate) openapi: bytes::Bytes,
}

impl App {
    /// A connection that sees the rows of `tenant` alone.
    pub(crate) async fn client(&self, tenant: TenantId) -> Result<Client, DatabaseError> {
        self.database.client_of(tenant).await
    }

    /// A connection that sees every tenant's rows: for operators, and for what is no tenant's.
    pub(crate) async fn unscoped(&self) -> Result<Client, DatabaseError> {
        self.database.client().await
    }

    /// Asks again who callers are: a user or a tenant has changed.
    pub(crate) fn forget_callers(&self) {
        self.keys.forget_all();
        self.tokens.forget_all();
    }
}
