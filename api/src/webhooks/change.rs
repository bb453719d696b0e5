//! `PATCH /webhooks/{id}`: pause, resume, change. What is not named stays.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    wake::Channel,
    webhook::{self, WebhookChange},
};

use super::{
    request::{Given, check, not_of_a_project, of_a_project},
    views::WebhookView,
};
use crate::{
    audit::{changed, of_one_change},
    auth::Caller,
    error::ApiError,
    extract::{Expected, Ids, JsonBody},
    state::Shared,
    validate::refused,
};

/// Body of a change, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct WebhookChangeBody {
    name: Option<String>,
    url: Option<String>,
    events: Option<Vec<String>>,
    /// What ends while it is paused makes no message. `false` also ends its being disabled.
    paused: Option<bool>,
}

/// Pause, resume or change a webhook
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(
        ("id" = uuid::Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "Only while it is as read before: its `ETag`"),
    ),
    request_body = WebhookChangeBody,
    responses((status = 200, body = WebhookView), (status = 404), (status = 412), (status = 422))
)]
pub(crate) async fn change_webhook(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let id = ids.webhook()?;
    let given = Given::read(&app, body.value)?;
    let row = webhook::find(&app.client(caller.tenant).await?, caller.tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    if row.project_id.is_some() && given.events.as_ref().is_some_and(|events| !of_a_project(events)) {
        return Err(refused("events", not_of_a_project()));
    }
    if let Some(url) = &given.url {
        check(&app, url).await?;
    }
    let change = WebhookChange {
        name: given.name,
        url: given.url.map(|url| url.to_string()),
        events: given.events,
        paused: given.paused,
    };
    let client = app.client(caller.tenant).await?;
    let expected = Expected::read(&headers);
    let done = webhook::update(&client, caller.tenant, id, expected.numbers(), &change).await?;
    let before = WebhookView::from(row);
    let row = webhook::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    if !done {
        let detail = format!("The webhook's ETag is \"{}\": look at it, then send that in If-Match", row.revision);
        return Err(ApiError::PreconditionFailed(detail.into()));
    }
    app.waker.wake(Channel::Work);
    let (revisions, was, is) =
        ((before.revision(), row.revision), before.noted(), WebhookView::from(row.clone()).noted());
    let changes = of_one_change(revisions, &was, &is, &["name", "url_host", "events", "status"]);
    Ok(changed(WebhookView::answer(row, &caller), changes))
}
