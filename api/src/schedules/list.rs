//! `GET /schedules`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, schedule};
use serde::Serialize;

use super::views::ScheduleView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
    validate::rules,
};

/// A page of schedules.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ScheduleList {
    items: Vec<ScheduleView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List schedules
#[utoipa::path(
    get, path = "/api/v1/schedules", tag = "schedules",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Only this project's"),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = ScheduleList))
)]
pub(crate) async fn list_schedules(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<ScheduleList>, ApiError> {
    let mut fields = query.fields();
    let project = fields.optional("project_id", rules::id);
    let paging = Paging::take(&mut fields);
    let project = fields.finish(|| Some(project))?;
    let client = app.client(caller.tenant).await?;
    let Page { items, next } = schedule::list(&client, caller.tenant, project, paging.after, paging.limit).await?;
    Ok(Json(ScheduleList {
        items: items.into_iter().map(ScheduleView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
