//! A schedule as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::schedule::ScheduleRow;
use drydock_domain::{JobId, Missed, ProjectId, Schedule, ScheduleId};
use serde::Serialize;
use serde_json::Value;

use crate::jobs::NewJobBody;

/// Upcoming times shown.
const UPCOMING: usize = 5;

/// A schedule.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ScheduleView {
    #[schema(value_type = Uuid)]
    pub(super) id: ScheduleId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    name: String,
    cron: String,
    time_zone: String,
    /// What becomes of firings missed while nobody could fire: `skip` (none of them) or `once` (one for all).
    #[schema(value_type = String)]
    missed: Missed,
    paused: bool,
    /// The job it makes, with its defaults.
    #[schema(value_type = NewJobBody)]
    job: Value,
    /// Absent while it is paused, or when no time is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<DateTime<Utc>>,
    /// The next five.
    next: Vec<DateTime<Utc>>,
    /// The time it last made a job for.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    last_job_id: Option<JobId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ScheduleRow> for ScheduleView {
    fn from(row: ScheduleRow) -> Self {
        let next_at = row.next_at.filter(|_| !row.paused);
        let next = next_at.map(|first| upcoming(&row, first)).unwrap_or_default();
        Self {
            id: row.id,
            project_id: row.project_id,
            name: row.name,
            cron: row.cron,
            time_zone: row.time_zone,
            missed: row.missed,
            paused: row.paused,
            job: row.job,
            next_at,
            next,
            last_at: row.last_at,
            last_job_id: row.last_job,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What is stored was read before; if a later build could not, the first time is still known.
fn upcoming(row: &ScheduleRow, first: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let later = Schedule::parse(&row.cron, &row.time_zone).map(|schedule| schedule.upcoming(first, UPCOMING - 1));
    std::iter::once(first).chain(later.unwrap_or_default()).collect()
}
