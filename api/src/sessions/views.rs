//! A session as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::session::SessionRow;
use drydock_domain::{JobId, ProjectId};
use serde::Serialize;

/// A session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionView {
    /// Also the id of its job, whose log has what its server says.
    #[schema(value_type = Uuid)]
    session_id: JobId,
    /// Where it is reached, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// `starting`, `ready`, `releasing`; over: `terminated` or `failed`.
    status: &'static str,
    server: String,
    read_only: bool,
    /// Seconds without a connection after which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_timeout_s: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview_url: Option<String>,
    /// The worker that has it, or had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// The version that its changes became.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
}

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        let error = row.failure().map(str::to_owned);
        Self {
            session_id: row.id,
            host: row.host,
            port: row.port,
            project_id: row.project_id,
            status: row.status.as_str(),
            server: row.server,
            read_only: row.read_only,
            idle_timeout_s: row.idle_timeout_s,
            preview_url: row.preview_url,
            worker: row.worker,
            version: row.version,
            error,
            created_at: row.created_at,
            ready_at: row.ready_at,
            ended_at: row.ended_at,
        }
    }
}
