//! `PATCH /batches/{id}`: its name, labels and limits; they hold from the next job it lets go.

use axum::{Json, extract::State};
use drydock_database::{batch, wake::Channel};

use super::{request::Given, settle::settled, show::view, views::BatchView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody},
    state::Shared,
    validate::Fields,
};

/// Body of a change, for the document; what is left out stays.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct BatchChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Replaces all of them.
    labels: Option<crate::openapi::Labels>,
    #[schema(minimum = 1)]
    canary: Option<u32>,
    #[schema(minimum = 1)]
    max_running: Option<u32>,
    #[schema(minimum = 0, exclusive_maximum = 1)]
    max_failure_rate: Option<f64>,
    #[schema(minimum = 1)]
    budget_slot_minutes: Option<u32>,
    #[schema(minimum = 1, maximum = 1_000_000_000_000_000_i64)]
    budget_tokens: Option<i64>,
}

/// Change a batch
#[utoipa::path(
    patch, path = "/api/v1/batches/{id}", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    request_body = BatchChange,
    responses((status = 200, body = BatchView), (status = 404), (status = 422))
)]
pub(crate) async fn change_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: JsonBody,
) -> Result<Json<BatchView>, ApiError> {
    let id = ids.batch()?;
    let mut fields = Fields::body(body.value)?;
    let given = Given::take(&mut fields, false);
    let Given { name, labels, settings } = fields.finish(|| Some(given))?;
    let client = app.client(caller.tenant).await?;
    settled(batch::change(&client, caller.tenant, id, name.as_deref(), labels.as_ref(), &settings).await?)?;
    drop(client);
    app.waker.wake(Channel::Work);
    view(&app, caller.tenant, id).await.map(Json)
}
