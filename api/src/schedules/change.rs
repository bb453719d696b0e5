//! `PATCH /schedules/{id}`: pause, resume, change. What is not named stays.

use axum::{Json, extract::State};
use drydock_database::schedule::{self, ScheduleRow};

use super::{
    create::template,
    request::{Given, first},
    views::ScheduleView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody},
    jobs::{NewJobBody, offer},
    state::Shared,
};

/// A schedule that fires in between has changed and is read again, not more often than this.
const TRIES: usize = 5;

/// Body of a change, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct ScheduleChange {
    name: Option<String>,
    cron: Option<String>,
    time_zone: Option<String>,
    /// `skip` or `once`.
    missed: Option<String>,
    /// Times that pass while it is paused are not made up for.
    paused: Option<bool>,
    /// Replaces the whole job.
    job: Option<NewJobBody>,
}

/// Pause, resume or change a schedule
#[utoipa::path(
    patch, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = uuid::Uuid, Path)),
    request_body = ScheduleChange,
    responses((status = 200, body = ScheduleView), (status = 404), (status = 409), (status = 422))
)]
pub(crate) async fn change_schedule(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: JsonBody,
) -> Result<Json<ScheduleView>, ApiError> {
    let id = ids.schedule()?;
    let offer = offer(&app, &body.value["job"]).await?;
    let change = Given::read(body.value, &offer)?;
    let client = app.client(caller.tenant).await?;
    for _ in 0..TRIES {
        let row = schedule::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_SCHEDULE)?;
        if schedule::update(&client, caller.tenant, &changed(row, &change)?).await? {
            app.waker.wake(drydock_database::wake::Channel::Work);
            let row = schedule::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_SCHEDULE)?;
            return Ok(Json(row.into()));
        }
    }
    Err(ApiError::Conflict("Schedule changed meanwhile, again and again".into()))
}

/// The row with what is given. Other times, and a resumption, begin from now.
fn changed(mut row: ScheduleRow, given: &Given) -> Result<ScheduleRow, ApiError> {
    let resumed = row.paused && given.paused == Some(false);
    row.name = given.name.clone().unwrap_or(row.name);
    row.missed = given.missed.unwrap_or(row.missed);
    row.paused = given.paused.unwrap_or(row.paused);
    if let Some(job) = &given.job {
        row.job = template(job.clone().into_new(row.project_id))?;
    }
    row.cron = given.cron.clone().unwrap_or(row.cron);
    row.time_zone = given.time_zone.clone().unwrap_or(row.time_zone);
    if resumed || given.cron.is_some() || given.time_zone.is_some() {
        row.next_at = Some(first(&row.cron, &row.time_zone, row.read_at)?);
    }
    Ok(row)
}
