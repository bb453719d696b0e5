//! A project as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::project::ProjectRow;
use drydock_domain::{JobId, ProjectId, Status};
use serde::Serialize;

/// A project.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProjectView {
    #[schema(value_type = Uuid)]
    id: ProjectId,
    /// The tenant's name.
    owner: String,
    instruction: String,
    /// That of its newest job; `completed` where there is none.
    #[schema(value_type = String)]
    status: Status,
    /// That of its newest job.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    agent: String,
    pool: String,
    #[schema(value_type = crate::openapi::Labels)]
    labels: serde_json::Value,
    /// The least isolation that its jobs accept.
    min_isolation: String,
    /// The newest version; 0 while there is none.
    head_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview_url: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// The job that was made with it, in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub(super) job_id: Option<JobId>,
}

impl From<ProjectRow> for ProjectView {
    fn from(row: ProjectRow) -> Self {
        Self {
            id: row.id,
            owner: row.owner,
            instruction: row.instruction,
            status: row.state.map_or(Status::Completed, drydock_domain::JobState::status),
            summary: row.summary,
            agent: row.agent,
            pool: row.pool,
            labels: row.labels,
            min_isolation: row.min_isolation,
            head_version: row.head_version,
            preview_url: row.preview_url,
            created_at: row.created_at,
            updated_at: row.updated_at,
            job_id: None,
        }
    }
}
