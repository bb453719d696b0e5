//! `POST /projects`: the project and its first job in one transaction; `?wait=` holds the answer until that job is final.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::{
    Client, DatabaseError,
    again::Again,
    job::{self, Accepted, NewJob},
    project::{self, NewProject},
};
use drydock_domain::{JobType, ProjectId};

use super::{
    request::{ProjectRequest, offer},
    views::ProjectView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{JsonBody, Query},
    jobs::{DEFAULT_ISOLATION, accepted_response, idempotency, key_reused, until_final},
    state::Shared,
    validate::{Fields, rules},
};

/// Body of a new project, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewProjectBody {
    /// 5 to 2,000 characters.
    #[schema(min_length = 5, max_length = 2000)]
    instruction: String,
    /// The server's default agent by default.
    agent: Option<String>,
    pool: Option<String>,
    labels: Option<crate::openapi::Labels>,
    /// The least isolation its jobs accept.
    min_isolation: Option<String>,
}

/// Create a project
#[utoipa::path(
    post, path = "/api/v1/projects", tag = "projects",
    params(
        ("wait" = Option<String>, Query, description = "Hold the answer until the first job is final, at most so long, like `60s`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = NewProjectBody,
    responses((status = 201, body = ProjectView), (status = 422))
)]
pub(crate) async fn create_project(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let mut parameters = query.fields();
    let wait = parameters.optional("wait", rules::wait(app.config.wait_limit));
    let wait: Duration = parameters.finish(|| Some(wait.unwrap_or_default()))?;
    let JsonBody { value, raw } = body;
    let offer = offer(&app, value.get("agent")).await?;
    let mut fields = Fields::body(value)?;
    let labels = |fields: &mut Fields| fields.optional("labels", rules::labels);
    let request = ProjectRequest::take(&mut fields, &offer, &app.config.default_agent, labels);
    let request = fields.finish(|| request)?;
    let title = request.instruction.title();
    let new = request.into_new(&app, caller.tenant);
    let mut first = first_job(&new, title);
    first.idempotency = idempotency(&headers, "POST /projects", &raw)?;
    let mut client = app.client(caller.tenant).await?;
    let (job, replayed) = match create_unless_undone(&mut client, &new, &first).await? {
        Accepted::New(job) => {
            app.waker.wake_all();
            (job, false)
        }
        Accepted::Replayed(job) => (job, true),
        Accepted::KeyReused => return Err(key_reused()),
        Accepted::OverQuota(lacks) => return Err(ApiError::over_quota(&lacks)),
        Accepted::NoProject | Accepted::NoDependency => {
            return Err(ApiError::Internal("a project vanished while it was made".to_owned()));
        }
    };
    let gone = || ApiError::Internal(format!("job {job} was accepted but cannot be read"));
    let id: ProjectId = match replayed {
        true => job::find(&client, caller.tenant, job).await?.ok_or_else(gone)?.project_id,
        false => new.id,
    };
    drop(client);
    until_final(&app, caller.tenant, job, wait).await?;
    let row = project::find(&app.client(caller.tenant).await?, caller.tenant, id).await?.ok_or_else(gone)?;
    let mut view = ProjectView::from(row);
    view.job_id = Some(job);
    Ok(accepted_response(StatusCode::CREATED, &format!("/api/v1/projects/{id}"), replayed, &view))
}

/// Tried again where PostgreSQL undid it for another transaction's sake.
async fn create_unless_undone(
    client: &mut Client,
    new: &NewProject,
    first: &NewJob,
) -> Result<Accepted, DatabaseError> {
    let mut again = Again::default();
    loop {
        match create(client, new, first).await {
            Err(error) => again.after(error).await?,
            answer => return answer,
        }
    }
}

/// Both or none: a request that came before leaves no second project behind.
async fn create(client: &mut Client, new: &NewProject, first: &NewJob) -> Result<Accepted, DatabaseError> {
    let failed = || DatabaseError::query("create a project");
    let transaction = client.transaction().await.map_err(failed())?;
    project::create(&transaction, new).await?;
    let accepted = job::accept(&transaction, new.tenant, first).await?;
    match accepted {
        Accepted::New(_) => transaction.commit().await.map_err(failed())?,
        _ => transaction.rollback().await.map_err(failed())?,
    }
    Ok(accepted)
}

fn first_job(project: &NewProject, title: String) -> NewJob {
    let job = NewJob::new(project.id, JobType::InitialProject, title, project.instruction.clone());
    NewJob { min_isolation: DEFAULT_ISOLATION, ..job }
}
