//! `DELETE /sessions/{id}`: its server is stopped, what was changed becomes a version, and then comes the answer.

use std::time::Duration;

use axum::{Json, extract::State};
use drydock_database::session::{self, Released, SessionRow};
use drydock_domain::{JobId, TenantId};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    auth::Caller,
    error::ApiError,
    extract::Ids,
    state::{App, Shared},
};

/// How long the answer waits for the files to be stored at most.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOW: ApiError = ApiError::Unavailable { detail: "The session is ending; ask again", cause: None };

const MOVED: &str = "The session is over, but its project has a newer version than the one it began with, so that its changes became none. \
                     They stay readable for a while: GET /projects/{id}/files?attempt=";

/// What became of a session that was to end.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionEnd {
    /// `terminated`, or `already_gone` where it was over before.
    status: &'static str,
    #[schema(value_type = Uuid)]
    session_id: JobId,
    /// The version that its changes became.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    /// Why its changes became none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// End a session
///
/// Its server gets SIGTERM, children before their parents, and SIGKILL after half a second; then connections are refused. The answer comes
/// when what was changed is stored.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = SessionEnd), (status = 404), (status = 409, description = "The project's newest version is another one by now"),
        (status = 500), (status = 503)
    )
)]
pub(crate) async fn end_session(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<SessionEnd>, ApiError> {
    end(&app, caller.tenant, ids.session()?).await.map(Json)
}

pub(super) async fn end(app: &App, tenant: TenantId, id: JobId) -> Result<SessionEnd, ApiError> {
    // Before it is asked for, so that its end is not missed.
    let mut watch = app.feed.watch();
    let released = session::release(&app.client(tenant).await?, tenant, id).await?;
    let terminated = SessionEnd { status: "terminated", session_id: id, version: None, error: None };
    match released {
        Released::NoSession => return Err(ApiError::NO_SESSION),
        Released::Gone => return Ok(SessionEnd { status: "already_gone", ..terminated }),
        Released::Now | Released::Soon => app.waker.wake_all(),
    }
    let deadline = Instant::now() + PATIENCE.min(app.config.wait_limit);
    loop {
        let row = session::find(&app.client(tenant).await?, tenant, id).await?.ok_or(ApiError::NO_SESSION)?;
        if row.ended_at.is_some() {
            return over(row, terminated);
        }
        tokio::select! {
            () = watch.news(Some(id)) => {}
            () = tokio::time::sleep_until(deadline) => return Err(SLOW),
            () = app.shutdown.triggered() => return Err(SLOW),
        }
    }
}

fn over(row: SessionRow, terminated: SessionEnd) -> Result<SessionEnd, ApiError> {
    let error = row.failure().map(str::to_owned);
    match row.attempt_state.as_deref() {
        Some("conflict") => Err(ApiError::Conflict(MOVED.into())),
        Some("infra" | "lost") => {
            let reason = error.unwrap_or_default();
            Err(ApiError::Internal(format!("session {} could not be ended in order: {reason}", row.id)))
        }
        _ => Ok(SessionEnd { version: row.version, error, ..terminated }),
    }
}
