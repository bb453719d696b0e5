//! `POST /batches`: an empty batch, open for lines.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::batch::{self, Created, NewBatch};
use drydock_domain::BatchId;
use serde_json::json;

use super::{request::Given, show::view, views::BatchView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::JsonBody,
    jobs::{accepted_response, idempotency, key_reused},
    state::Shared,
    validate::Fields,
};

/// Body of a new batch, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewBatchBody {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    labels: Option<crate::openapi::Labels>,
    /// So many jobs go first, and the others once all of these ended well; else it pauses.
    #[schema(minimum = 1)]
    canary: Option<u32>,
    /// Most jobs under way at once, those that wait behind others of their project included.
    #[schema(minimum = 1)]
    max_running: Option<u32>,
    /// It pauses once more than this share of those that ended have failed; looked at from twenty on, or a fifth of a small batch.
    #[schema(minimum = 0, exclusive_maximum = 1)]
    max_failure_rate: Option<f64>,
    /// It pauses once its attempts have held slots for so many minutes.
    #[schema(minimum = 1)]
    budget_slot_minutes: Option<u32>,
    /// It pauses once its attempts have used so many tokens, read (cached ones too) and written, as their agents say when they end.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_000_i64)]
    budget_tokens: Option<i64>,
}

/// Create a batch
///
/// It takes lines until a request that fills it was the last one.
#[utoipa::path(
    post, path = "/api/v1/batches", tag = "batches",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless; with the hash of the file, the same file twice is one batch")),
    request_body = NewBatchBody,
    responses((status = 201, body = BatchView), (status = 422))
)]
pub(crate) async fn create_batch(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let JsonBody { value, raw } = body;
    let mut fields = Fields::body(value)?;
    let given = Given::take(&mut fields, true);
    let (name, settings) = fields.finish(|| Some((given.name?, given.settings)))?;
    let new = NewBatch {
        id: BatchId::generate(),
        name,
        labels: given.labels.unwrap_or_else(|| json!({})),
        settings,
        idempotency: idempotency(&headers, "POST /batches", &raw)?,
    };
    let (id, replayed) = match batch::create(&app.client(caller.tenant).await?, caller.tenant, &new).await? {
        Created::New(id) => (id, false),
        Created::Replayed(id) => (id, true),
        Created::KeyReused => return Err(key_reused()),
    };
    let view: BatchView = view(&app, caller.tenant, id).await?;
    Ok(accepted_response(StatusCode::CREATED, &format!("/api/v1/batches/{id}"), replayed, &view))
}
