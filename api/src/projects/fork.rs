//! `POST /projects/{id}/fork`: a version of one project becomes version 1 of a new one. No bytes are copied, no agent runs.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::{
    project,
    version::{self, Forked, NewFork},
};
use drydock_domain::{Instruction, ProjectId};

use super::views::ProjectView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, OptionalJson},
    jobs::{accepted_response, idempotency, key_reused},
    state::Shared,
    validate::{Fields, rules},
};

/// Body of a fork, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct ForkBody {
    /// The newest by default; of version 0 comes an empty project.
    #[schema(minimum = 0)]
    version: Option<u32>,
    /// 5 to 2,000 characters; the origin's by default.
    #[schema(min_length = 5, max_length = 2000)]
    instruction: Option<String>,
    /// Instead of the origin's.
    labels: Option<crate::openapi::Labels>,
}

/// Fork a project
///
/// The new project has the origin's agent, pool and least isolation, and nothing else in common with it: either may be deleted.
#[utoipa::path(
    post, path = "/api/v1/projects/{id}/fork", tag = "projects",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = ForkBody,
    responses((status = 201, body = ProjectView), (status = 404), (status = 422))
)]
pub(crate) async fn fork_project(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, ApiError> {
    let origin = ids.project()?;
    let mut fields = Fields::body(body.value)?;
    let version = fields.optional("version", rules::number(0, i32::MAX.into()));
    let instruction = fields.optional("instruction", rules::instruction(Instruction::for_project));
    let labels = fields.optional("labels", rules::labels);
    fields.finish(|| Some(()))?;
    let new = NewFork {
        id: ProjectId::generate(),
        origin,
        version,
        instruction: instruction.map(|text| text.as_str().to_owned()),
        labels,
        idempotency: idempotency(&headers, &format!("POST /projects/{origin}/fork"), &body.raw)?,
    };
    let client = app.client(caller.tenant).await?;
    let (id, replayed) = match version::fork(&client, caller.tenant, &new).await? {
        Forked::New(id) => (id, false),
        Forked::Replayed(id) => (id, true),
        Forked::KeyReused => return Err(key_reused()),
        Forked::Missing(missing) => return Err(missing.into()),
    };
    let row = project::find(&client, caller.tenant, id).await?;
    let row = row.ok_or_else(|| ApiError::Internal(format!("project {id} was made but cannot be read")))?;
    Ok(accepted_response(StatusCode::CREATED, &format!("/api/v1/projects/{id}"), replayed, &ProjectView::from(row)))
}
