//! `GET /schedules/{id}`: one schedule.

use axum::{Json, extract::State};
use drydock_database::schedule;

use super::views::ScheduleView;
use crate::{auth::Caller, error::ApiError, extract::Ids, state::Shared};

/// Show a schedule
#[utoipa::path(
    get, path = "/api/v1/schedules/{id}", tag = "schedules",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = ScheduleView), (status = 404))
)]
pub(crate) async fn show_schedule(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
) -> Result<Json<ScheduleView>, ApiError> {
    let row = schedule::find(&app.client(caller.tenant).await?, caller.tenant, ids.schedule()?).await?;
    Ok(Json(row.ok_or(ApiError::NO_SCHEDULE)?.into()))
}
