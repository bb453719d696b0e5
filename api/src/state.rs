//! `App`: what every handler works with. No globals.

use std::sync::Arc;

use drydock_database::{Client, Database, DatabaseError, wake::Waker};
use drydock_domain::TenantId;
use drydock_runtime::Shutdown;
use drydock_storage::{ManifestCache, Storage};
use tokio::sync::Semaphore;

use crate::{agents::KnownAgents, config::ApiConfig, events::Feed, jobs::Intake, metrics::ApiMetrics};

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
    pub(crate) agents: KnownAgents,
    pub(crate) metrics: ApiMetrics,
    /// One permit an open stream.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    /// The OpenAPI document, written once.
    pub(crate) openapi: bytes::Bytes,
}

impl App {
    /// Whom a request acts for. Until keys exist there is one tenant.
    #[expect(clippy::unused_self, reason = "the request will decide once it can say who it comes from")]
    pub(crate) const fn tenant(&self) -> TenantId {
        TenantId::DEFAULT
    }

    pub(crate) async fn client(&self) -> Result<Client, DatabaseError> {
        self.database.client().await
    }
}
