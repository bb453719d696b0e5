//! The service from start to stop: connect, serve, drain.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use drydock_database::{Database, role::Service, wake::Waker};
use drydock_runtime::{
    Shutdown,
    admin::{self, Readiness},
    exit::{Exit, chain},
    metrics, tasks,
};
use drydock_storage::{Limits, ManifestCache, Storage, StorageMetrics};
use prometheus::Registry;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    agents::KnownAgents,
    audit::AuditLog,
    auth::{Gate, Keys, Tokens},
    config::{ApiConfig, Secrets},
    events::Feed,
    jobs::Intake,
    logs,
    metrics::ApiMetrics,
    openapi,
    rate::{Rate, Strikes},
    router,
    serve::Server,
    state::{App, Shared},
    uploads::Uploads,
};

/// How long a stop waits for daemons to be told of it.
const LAST_DAEMONS: std::time::Duration = std::time::Duration::from_secs(5);
/// How long a stop waits for the last records of the audit log.
const LAST_RECORDS: std::time::Duration = std::time::Duration::from_secs(5);

/// Sockets bound by the caller: with port 0, only it knows where.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// For the operations endpoints alone.
    pub admin: Option<TcpListener>,
    /// For sessions alone, under the names of older clients.
    pub sessions: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// An address is taken or not this host's; the text names the setting.
    pub async fn bind(config: &ApiConfig) -> Result<Self, Exit> {
        let address = config.api_addr;
        let api = TcpListener::bind(address).await.with_context(|| format!("bind {address} (DRYDOCK_API_ADDR)"));
        let api = api.map_err(Exit::Usage)?;
        let admin = match config.admin_addr {
            Some(address) => Some(admin::bind(address).await.map_err(Exit::Usage)?),
            None => None,
        };
        let sessions = match config.instance_manager_addr {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                let bound = bound.with_context(|| format!("bind {address} (DRYDOCK_INSTANCE_MANAGER_ADDR)"));
                Some(bound.map_err(Exit::Usage)?)
            }
            None => None,
        };
        Ok(Self { api, admin, sessions })
    }
}

/// Serves until `shutdown`, then finishes what runs.
///
/// # Errors
/// Settings that cannot work, or PostgreSQL or object storage that cannot be reached.
pub async fn run(config: ApiConfig, secrets: Secrets, listeners: Listeners, shutdown: Shutdown) -> Result<(), Exit> {
    config.check().map_err(|error| Exit::Usage(error.into()))?;
    let registry = metrics::registry("api").map_err(|error| Exit::Failure(error.into()))?;
    let (routes, document) = router::routes();
    let document = openapi::document(document).map_err(|error| Exit::Failure(error.into()))?;
    let app = connect(config, &secrets, &registry, document, &shutdown).await?;
    let readiness = readiness(&app);
    if let Some(listener) = listeners.admin {
        let router = admin::router("api", registry.clone(), readiness.clone(), shutdown.clone());
        tasks::spawn("admin", admin::serve(listener, router, shutdown.clone()));
    }
    let server = Server::new(&app.config, &app.metrics);
    if let Some(listener) = listeners.sessions {
        let own = router::service(router::session_routes(), &app, &registry, readiness.clone());
        let own = own.map_err(|error| Exit::Usage(error.into()))?;
        let (server, shutdown) = (server.clone(), shutdown.clone());
        // What of it still runs at a stop has the time that the service gives its own.
        tasks::spawn("instance manager", async move { server.run(listener, own, &shutdown).await });
    }
    let router = router::service(routes, &app, &registry, readiness).map_err(|error| Exit::Usage(error.into()))?;
    if let Ok(address) = listeners.api.local_addr() {
        tracing::info!(%address, "serving");
    }
    serve(&server, listeners.api, router, &app, &shutdown).await
}

async fn connect(
    config: ApiConfig,
    secrets: &Secrets,
    registry: &Registry,
    openapi: bytes::Bytes,
    shutdown: &Shutdown,
) -> Result<Shared, Exit> {
    let broken = |error: prometheus::Error| Exit::Failure(error.into());
    let api_metrics = ApiMetrics::register(registry).map_err(broken)?;
    let storage_metrics = StorageMetrics::register(registry).map_err(broken)?;
    drydock_database::again::register(registry).map_err(broken)?;
    let storage = Storage::connect(&config.storage, &secrets.credentials, storage_metrics);
    let database = Database::connect(&config.database, &secrets.database_url, Service::Api).await?;
    let fetches = &api_metrics.issuer_fetches;
    let tokens = Tokens::start(&database, config.oidc_file.as_deref(), config.key_cache, fetches, shutdown)?;
    // The one that others can reach, if any.
    let served = std::iter::once(config.api_addr).chain(config.instance_manager_addr);
    let reached = served.clone().find(|address| !address.ip().is_loopback()).unwrap_or(config.api_addr);
    let gate = Gate::at_start(&database, reached, config.insecure_open.0, tokens.are_taken()).await?;
    storage.wait().await.map_err(|error| Exit::Unavailable(error.into()))?;
    let waker = Waker::start(&database, shutdown);
    Ok(Arc::new(App {
        manifests: ManifestCache::new(config.manifest_cache, Limits::default()),
        intake: Intake::start(&database, &waker, &api_metrics),
        audit: AuditLog::start(&database, &api_metrics),
        waker,
        feed: Feed::start(&database, shutdown),
        agents: KnownAgents::default(),
        gate,
        keys: Keys::new(&database, config.key_cache),
        job_rate: Rate::of_jobs(config.job_rate, config.job_burst),
        change_rate: Rate::of_changes(config.change_rate, config.change_burst),
        strikes: Strikes::new(config.bad_key_rate, config.bad_key_burst),
        tokens,
        vault: secrets.webhook_keys.clone(),
        webhooks: config.webhooks.policy(),
        metrics: api_metrics,
        uploads: Uploads::new(config.upload_limit.into()),
        streams: Arc::new(Semaphore::new(config.stream_limit.min(Semaphore::MAX_PERMITS))),
        daemons: Arc::new(Semaphore::new(usize::from(config.daemon_limit))),
        searches: logs::Door::new(config.search_limit),
        shutdown: shutdown.clone(),
        config,
        database,
        storage,
        openapi,
    }))
}

/// Ready while PostgreSQL answers. Object storage is not asked: most of the API works without it, and taking every
/// replica out of service would help nobody.
fn readiness(app: &Shared) -> Readiness {
    let database = app.database.clone();
    Readiness::default().with("database", move || {
        let database = database.clone();
        async move { database.check().await.map_err(|error| chain(&error)) }
    })
}

async fn serve(
    server: &Server,
    listener: TcpListener,
    router: Router,
    app: &Shared,
    shutdown: &Shutdown,
) -> Result<(), Exit> {
    let serving = server.run(listener, router, shutdown);
    let grace = app.config.shutdown_grace;
    let patience = async {
        shutdown.triggered().await;
        tokio::select! {
            () = tokio::time::sleep(grace) => tracing::warn!(?grace, "requests still ran when the grace was over"),
            () = shutdown.forced() => {}
        }
    };
    tokio::select! {
        () = serving => {}
        () = patience => {}
    }
    // Upgraded connections are nobody's requests any more; each tells its daemon to come back elsewhere.
    let parted = app.daemons.acquire_many(app.config.daemon_limit.into());
    if tokio::time::timeout(LAST_DAEMONS, parted).await.is_err() {
        tracing::warn!("daemons were still connected: their silence will tell");
    }
    if tokio::time::timeout(LAST_RECORDS, app.audit.flush()).await.is_err() {
        tracing::error!("the database took too long: outcomes are missing from the audit log");
    }
    // Whatever only waits for a forced stop, such as wake-ups still to be sent, has nothing left to wait for.
    shutdown.force();
    Ok(())
}
