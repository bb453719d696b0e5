//! Events as clients see them.

use chrono::{DateTime, Utc};
use drydock_database::event::EventRow;
use drydock_domain::{JobId, ProjectId};
use serde::Serialize;

use crate::stream::Frame;

/// What a `data` line holds.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EventView {
    /// The job it tells of.
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// When it happened.
    at: DateTime<Utc>,
    /// `status`, `status_detail` and `attempt` of a status event; `message` and `attempt` of a progress event.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

/// A frame of a job's events: what happened, or at the end what became of it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "documents the frames of a stream")]
pub(super) enum JobFrame {
    Event(EventView),
    End(JobEnd),
}

/// The last frame of a job's events.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JobEnd {
    job_id: uuid::Uuid,
    /// What became of the job.
    status: String,
}

pub(super) fn frame(row: EventRow) -> Frame {
    let view = EventView { job_id: row.job_id, project_id: row.project_id, at: row.at, data: row.data };
    let data = serde_json::to_value(view).unwrap_or_default();
    Frame::Event { id: row.cursor.to_string(), name: row.kind, data }
}
