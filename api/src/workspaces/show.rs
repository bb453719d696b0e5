//! `GET /workspaces/{id}`: whether a daemon holds it.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use drydock_database::workspace::{self, WorkspaceRow};
use drydock_domain::{ProjectId, daemon::SILENCE};
use serde::Serialize;

use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// A workspace.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WorkspaceView {
    /// Its project's.
    #[schema(value_type = Uuid)]
    id: ProjectId,
    /// `connected`, `syncing` while changes of its folder are on their way, or `disconnected`.
    status: &'static str,
    /// Whether jobs of the project go to a daemon: those that come while it is away wait for it, for `DRYDOCK_API_DAEMON_LEASE` at most.
    takes_jobs: bool,
    /// The folder that was connected last, by an id of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_at: Option<DateTime<Utc>>,
    /// When its daemon was last heard of; none was ever connected where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<DateTime<Utc>>,
}

impl From<WorkspaceRow> for WorkspaceView {
    fn from(row: WorkspaceRow) -> Self {
        let status = match (row.connected, row.syncing) {
            (true, true) => "syncing",
            (true, false) => "connected",
            (false, _) => "disconnected",
        };
        Self {
            id: row.project,
            status,
            takes_jobs: row.holds,
            instance_id: row.instance,
            connected_at: row.connected_at,
            last_seen_at: row.last_seen_at,
        }
    }
}

/// Show a workspace
///
/// Whether a daemon on somebody's machine holds the project's workspace. Every project has one, `disconnected` where no daemon ever came.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{id}", tag = "workspaces",
    params(("id" = uuid::Uuid, Path, description = "The project's id")),
    responses((status = 200, body = WorkspaceView), (status = 404))
)]
pub(crate) async fn show_workspace(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<WorkspaceView>, ApiError> {
    let found = workspace::find(&app.client(caller.tenant).await?, caller.tenant, ids.project()?, SILENCE).await?;
    Ok(Json(found.ok_or(ApiError::NO_PROJECT)?.into()))
}
