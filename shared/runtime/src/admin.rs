//! Operations endpoints of every process: `/livez`, `/readyz`, `/metrics`, `/version`.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;

use crate::Shutdown;

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What `/readyz` asks before it says 200.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

impl Readiness {
    /// Adds a check: its name and a question whose error text says what to look at.
    #[must_use]
    pub fn with<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    async fn report(&self) -> (bool, serde_json::Value) {
        let mut ready = true;
        let mut report = serde_json::Map::new();
        for (name, check) in &self.checks {
            let said = check().await;
            ready &= said.is_ok();
            report.insert((*name).to_owned(), said.err().unwrap_or_else(|| "ok".to_owned()).into());
        }
        (ready, report.into())
    }
}

/// What of a process is not ready, by check: goes with a 503 of `/readyz`, for services that write the bodies of their failures
/// themselves.
#[derive(Clone, Debug)]
pub struct Unready(pub serde_json::Value);

#[derive(Clone)]
struct Admin {
    component: &'static str,
    registry: Registry,
    readiness: Readiness,
    shutdown: Shutdown,
}

/// The endpoints, to be served alone or merged into a service's own routes.
pub fn router<S>(component: &'static str, registry: Registry, readiness: Readiness, shutdown: Shutdown) -> Router<S> {
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(Admin { component, registry, readiness, shutdown })
}

/// Serves the endpoints alone until `shutdown` is forced or the process ends.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    if let Err(error) =
        axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.forced().await }).await
    {
        tracing::error!(%error, "failed to serve the operations endpoints");
    }
}

/// Binds the admin address.
///
/// # Errors
/// The address is taken or not this host's; the text names the setting.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context as _;
    TcpListener::bind(address).await.with_context(|| format!("bind {address} (DRYDOCK_ADMIN_ADDR)"))
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.shutdown.is_triggered() {
        return unready(serde_json::json!({"ready": false, "draining": true}));
    }
    match admin.readiness.report().await {
        (true, checks) => Json(serde_json::json!({"ready": true, "checks": checks})).into_response(),
        (false, checks) => unready(serde_json::json!({"ready": false, "checks": checks})),
    }
}

fn unready(said: serde_json::Value) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(said.clone())).into_response();
    response.extensions_mut().insert(Unready(said));
    response
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match TextEncoder::new().encode_to_string(&admin.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn version(State(admin): State<Admin>) -> Response {
    Json(serde_json::json!({"component": admin.component, "version": crate::build_info::VERSION})).into_response()
}
