//! What a schedule may say, new or changed: each line a field and its rule.

use chrono::{DateTime, Utc};
use drydock_domain::{Missed, ProjectId, Schedule, ScheduleError, schedule};
use serde_json::Value;

use crate::{
    agents::Offer,
    error::ApiError,
    jobs::{Asked, JobRequest},
    validate::{Fault, Fields, refused, rules},
};

/// Longest name, in characters.
const MAX_NAME: usize = 200;
const DEFAULT_ZONE: &str = "UTC";

/// The fields that a creation and a change share, each as given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) cron: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) missed: Option<Missed>,
    pub(super) paused: Option<bool>,
    pub(super) job: Option<JobRequest>,
}

/// A schedule as asked for.
#[derive(Debug)]
pub(super) struct ScheduleRequest {
    pub(super) project: ProjectId,
    pub(super) name: String,
    pub(super) cron: String,
    pub(super) time_zone: String,
    pub(super) missed: Missed,
    pub(super) paused: bool,
    pub(super) job: JobRequest,
}

impl ScheduleRequest {
    /// Reads a body. `offer` is what is known of the agent its job names.
    pub(super) fn read(body: Value, offer: &Offer) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let project = fields.required("project_id", rules::id);
        let given = Given::take(&mut fields, offer, true)?;
        fields.finish(|| {
            Some(Self {
                project: project?,
                name: given.name?,
                cron: given.cron?,
                time_zone: given.time_zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned()),
                missed: given.missed.unwrap_or_default(),
                paused: given.paused.unwrap_or_default(),
                job: given.job?,
            })
        })
    }
}

impl Given {
    /// Reads the body of a change.
    pub(super) fn read(body: Value, offer: &Offer) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let given = Self::take(&mut fields, offer, false)?;
        fields.finish(|| Some(given))
    }

    fn take(fields: &mut Fields, offer: &Offer, new: bool) -> Result<Self, ApiError> {
        let text = rules::text(1, MAX_NAME);
        let name = if new { fields.required("name", text) } else { fields.optional("name", text) };
        let cron = if new { fields.required("cron", cron) } else { fields.optional("cron", cron) };
        let time_zone = fields.optional("time_zone", time_zone);
        let missed = fields.optional("missed", rules::one_of("'skip' or 'once'"));
        let paused = fields.optional("paused", rules::boolean);
        let job = fields.object("job", |fields| JobRequest::read(fields, Asked::BySchedule, offer))?;
        if new && job.is_none() {
            fields.missing("job");
        }
        Ok(Self { name, cron, time_zone, missed, paused, job })
    }
}

/// The first time after `now`; a schedule that has none is refused.
pub(super) fn first(cron: &str, time_zone: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, ApiError> {
    let schedule = Schedule::parse(cron, time_zone).map_err(|error| ApiError::Internal(error.to_string()))?;
    schedule.next_after(now).ok_or_else(|| {
        refused("cron", Fault::value("Input should be a cron expression that has a time to come, unlike '0 0 30 2 *'"))
    })
}

fn cron(value: &Value) -> Result<String, Fault> {
    let text = rules::text(0, usize::MAX)(value)?;
    schedule::parse_cron(&text).map_err(|error| fault(&error))?;
    Ok(text)
}

fn time_zone(value: &Value) -> Result<String, Fault> {
    let name = rules::text(0, usize::MAX)(value)?;
    schedule::parse_zone(&name).map_err(|error| fault(&error))?;
    Ok(name)
}

fn fault(error: &ScheduleError) -> Fault {
    Fault::value(error.to_string())
}
