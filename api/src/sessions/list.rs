//! `GET /sessions`: newest first, in pages; those that are over only where they are asked for.

use axum::{Json, extract::State};
use drydock_database::{
    page::Page,
    session::{self, SessionFilter},
};
use serde::Serialize;

use super::views::SessionView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
    validate::rules,
};

/// A page of sessions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionList {
    items: Vec<SessionView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List sessions
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Only this project's"),
        ("ended" = Option<bool>, Query, description = "`true`: those that are over as well"),
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = SessionList))
)]
pub(crate) async fn list_sessions(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<SessionList>, ApiError> {
    let mut fields = query.fields();
    let project = fields.optional("project_id", rules::id);
    let ended = fields.optional("ended", rules::flag);
    let paging = Paging::take(&mut fields);
    let filter = fields.finish(|| Some(SessionFilter { project, ended: ended.unwrap_or_default() }))?;
    let Page { items, next } =
        session::list(&app.client(caller.tenant).await?, caller.tenant, filter, paging.after, paging.limit).await?;
    Ok(Json(SessionList {
        items: items.into_iter().map(SessionView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
