//! `POST /webhooks`: read, its host looked up, kept with a new secret.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::webhook::{self, Created, NewWebhook};
use drydock_domain::WebhookId;
use drydock_webhook::SigningSecret;

use super::{
    request::{MAX_WEBHOOKS, WebhookRequest, check, vault},
    views::WebhookView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::JsonBody,
    keys::once_only,
    state::Shared,
    validate::{Fault, refused},
};

/// Body of a new webhook, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewWebhookBody {
    /// 1 to 100 characters.
    name: String,
    /// `https://…`, to a public address; where the operator allows others, to those, by `http://` too.
    url: String,
    /// `job.completed`, `job.error`, `job.cancelled`, `batch.finished`; all of them by default, which is `["*"]`.
    events: Option<Vec<String>>,
    /// Only the jobs of this project.
    project_id: Option<uuid::Uuid>,
    paused: Option<bool>,
}

/// Create a webhook
///
/// From now on it is told when jobs and batches end, by messages signed as Standard Webhooks has it. The answer has the signing secret in
/// `secret`, once. `Idempotency-Key` is refused: to answer the same again, the secret would have to be shown again.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks",
    request_body = NewWebhookBody,
    responses(
        (status = 201, body = WebhookView),
        (status = 409, description = "The tenant has as many as it may"),
        (status = 422),
        (status = 503, description = "The operator has set no DRYDOCK_WEBHOOK_KEY")
    )
)]
pub(crate) async fn create_webhook(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    once_only(&headers)?;
    let request = WebhookRequest::read(&app, body.value)?;
    let vault = vault(&app)?;
    check(&app, &request.url).await?;
    let (id, secret) = (WebhookId::generate(), SigningSecret::generate());
    let new = NewWebhook {
        id,
        project: request.project,
        name: request.name,
        url: request.url.to_string(),
        events: request.events,
        secret: vault.seal(id, &secret),
        paused: request.paused,
    };
    let client = app.client(caller.tenant).await?;
    match webhook::create(&client, caller.tenant, &new, MAX_WEBHOOKS).await? {
        Created::New => {}
        Created::NoProject => return Err(refused("project_id", Fault::value("Project not found"))),
        Created::TooMany => {
            let detail = format!("There are {MAX_WEBHOOKS} webhooks, which is the most: change or remove one");
            return Err(ApiError::Conflict(detail.into()));
        }
    }
    let row = webhook::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_WEBHOOK)?;
    Ok(WebhookView::with_secret(row, &secret, StatusCode::CREATED))
}
