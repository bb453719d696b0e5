//! `PATCH /projects/{id}`: change a project's settings. What is not named stays.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use drydock_database::{
    audit::Changes,
    project::{self, ProjectChange},
};
use drydock_domain::Instruction;
use serde_json::Value;

use super::{request::offer, views::ProjectView};
use crate::{
    agents::Offer,
    audit::changed,
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody},
    jobs::ISOLATIONS,
    state::Shared,
    validate::{Fields, rules},
};

/// Body of a change, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct ProjectChangeBody {
    #[schema(min_length = 5, max_length = 2000)]
    instruction: Option<String>,
    /// The agent of jobs that name none.
    agent: Option<String>,
    /// Where jobs run.
    pool: Option<String>,
    /// Replaces all labels.
    labels: Option<crate::openapi::Labels>,
    /// The least isolation that jobs accept.
    min_isolation: Option<String>,
}

/// Change a project's settings
///
/// Jobs that were accepted before keep the agent, the pool and the isolation they were accepted with.
#[utoipa::path(
    patch, path = "/api/v1/projects/{id}", tag = "projects",
    params(("id" = uuid::Uuid, Path)),
    request_body = ProjectChangeBody,
    responses((status = 200, body = ProjectView), (status = 404), (status = 422))
)]
pub(crate) async fn change_project(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let id = ids.project()?;
    let offer = match body.value.get("agent") {
        None | Some(Value::Null) => Offer::Known,
        named => offer(&app, named).await?,
    };
    let named = named(&body.value);
    let change = read(body.value, &offer)?;
    let client = app.client(caller.tenant).await?;
    if !project::change(&client, caller.tenant, id, &change).await? {
        return Err(ApiError::NO_PROJECT);
    }
    let row = project::find(&client, caller.tenant, id).await?;
    let view = ProjectView::from(row.ok_or(ApiError::NO_PROJECT)?);
    // A project has no count of changes that could tell whether somebody else changed it meanwhile.
    let changes = Changes::to(&view, &named);
    Ok(changed(Json(view).into_response(), changes))
}

/// The settings that a body names.
fn named(body: &Value) -> Vec<&'static str> {
    let fields = ["instruction", "agent", "pool", "labels", "min_isolation"];
    fields.into_iter().filter(|field| body.get(field).is_some_and(|value| !value.is_null())).collect()
}

fn read(body: Value, offer: &Offer) -> Result<ProjectChange, ApiError> {
    let mut fields = Fields::body(body)?;
    let instruction = fields.optional("instruction", rules::instruction(Instruction::for_project));
    let change = ProjectChange {
        instruction: instruction.map(|instruction| instruction.as_str().to_owned()),
        agent: fields.optional("agent", |value| {
            let name = rules::name(value)?;
            offer.fault(&name).map_or(Ok(name), Err)
        }),
        pool: fields.optional("pool", rules::name),
        labels: fields.optional("labels", rules::labels),
        min_isolation: fields.optional("min_isolation", rules::one_of(ISOLATIONS)),
    };
    fields.finish(|| Some(change))
}
