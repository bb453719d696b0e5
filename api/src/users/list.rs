//! `GET /users`: newest first, in pages.

use axum::{Json, extract::State};
use drydock_database::{page::Page, user};
use serde::Serialize;

use super::views::UserView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
};

/// A page of users.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserList {
    items: Vec<UserView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List users
#[utoipa::path(
    get, path = "/api/v1/users", tag = "keys",
    params(
        ("limit" = Option<u16>, Query, description = "1 to 500, 50 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses((status = 200, body = UserList))
)]
pub(crate) async fn list_users(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<UserList>, ApiError> {
    let mut fields = query.fields();
    let paging = Paging::take(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } =
        user::list(&app.client(caller.tenant).await?, caller.tenant, paging.after, paging.limit).await?;
    Ok(Json(UserList {
        items: items.into_iter().map(UserView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
