//! `GET /workspaces/ws`: the connection of one daemon. `hold` is its life, `take` what it says, `hand` what it is handed.

mod hand;
mod hold;
mod line;
mod note;
mod take;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::Response,
};
use drydock_domain::daemon::MAX_FRAME;
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use self::line::ENDS;

use crate::{
    auth::{Actor, Caller},
    error::ApiError,
    metrics::ApiMetrics,
    serve::Client,
    state::Shared,
};

/// Connect a daemon
///
/// A WebSocket (RFC 6455) of JSON frames with a `type`; `drydock daemon` speaks it. What a daemon says first is `hello`. It is cut off with
/// 4401 when its token is revoked, 4409 when another connection takes its place, 4404 when the project is deleted, 4412 when
/// the project asks for isolation, which a daemon does not give.
#[utoipa::path(
    get, path = "/api/v1/workspaces/ws", tag = "workspaces",
    params(
        ("x-workspace-id" = uuid::Uuid, Header, description = "The project's id"),
        ("x-daemon-token" = String, Header, description = "A token of `POST /workspaces/{id}/tokens`"),
    ),
    responses((status = 101, description = "From here on frames"), (status = 400), (status = 503, description = "Too many daemons are connected"))
)]
pub(crate) async fn open_socket(
    State(app): State<Shared>,
    caller: Caller,
    client: Option<Extension<Client>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let Actor::Daemon { project, .. } = caller.actor else {
        return Err(ApiError::Internal("a socket was opened without a daemon's token".to_owned()));
    };
    let upgrade = upgrade.map_err(|_| {
        ApiError::BadRequest(
            "This is a WebSocket: ask for an upgrade (Upgrade: websocket, Sec-WebSocket-Version: 13)".into(),
        )
    })?;
    let busy = |_| ApiError::Unavailable { detail: "Too many daemons are connected", cause: None };
    let permit = Arc::clone(&app.daemons).try_acquire_owned().map_err(busy)?;
    let place = Place::take(app.metrics.clone(), permit);
    let ip = client.map(|Extension(client)| client.ip);
    let upgrade = upgrade.max_message_size(MAX_FRAME).max_frame_size(MAX_FRAME);
    Ok(upgrade.on_upgrade(async move |socket| {
        let ended = hold::hold(&app, (caller, project), ip, socket).await;
        app.metrics.daemon_connections.with_label_values(&[ended]).inc();
        drop(place);
    }))
}

/// A connected daemon, as the cap and the gauge count it.
struct Place {
    metrics: ApiMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(metrics: ApiMetrics, permit: OwnedSemaphorePermit) -> Self {
        metrics.daemons.inc();
        Self { metrics, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.daemons.dec();
    }
}
