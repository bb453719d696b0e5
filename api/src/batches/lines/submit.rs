//! The handler: what may be said beside the lines, and when the batch is complete.

use axum::{
    Json,
    extract::{Request, State},
    http::header,
};
use drydock_database::batch;
use drydock_domain::{BatchId, ProjectId, TenantId};

use super::{
    asked::Reading,
    reader::{Line, Lines},
    report::{LinesView, Report},
    writer::Writer,
};
use crate::{
    auth::Caller,
    batches::{show::view, views::BatchView},
    error::ApiError,
    extract::{Ids, Query},
    jobs::NewJobBody,
    state::Shared,
    stream::media,
    validate::rules,
};

/// Lines of one batch.
pub(crate) const MAX_LINES: i32 = 10_000_000;
const KINDS: [&str; 5] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json"];

/// A line, for the document; `asked` has the rules.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct BatchLine {
    /// Whose job it is, unless the query names one or `fork_of` is given.
    project_id: Option<uuid::Uuid>,
    /// A fork of this project is made for the line, and the job is the fork's.
    fork_of: Option<uuid::Uuid>,
    /// Of that project; the newest by default.
    version: Option<u32>,
    /// As for a new job, without `depends_on`.
    #[serde(flatten)]
    job: NewJobBody,
}

/// What is said beside the lines.
#[derive(Clone, Copy, Debug)]
struct Options {
    project: Option<ProjectId>,
    first: i32,
    more: bool,
    check: bool,
}

impl Options {
    fn read(query: Query) -> Result<Self, ApiError> {
        let mut fields = query.fields();
        let project = fields.optional("project_id", rules::id);
        let first = fields.optional("first_line", rules::number(1, MAX_LINES.into()));
        let more = fields.optional("more", rules::flag);
        let check = fields.optional("check", rules::flag);
        fields.finish(|| {
            Some(Self {
                project,
                first: first.unwrap_or(1),
                more: more.unwrap_or_default(),
                check: check.unwrap_or_default(),
            })
        })
    }
}

/// Submit a batch's lines
///
/// One JSON object a line, each a job (without `depends_on`) with `project_id`, or with `fork_of` for a fork of its own. Lines are
/// accepted while they arrive; one that is refused keeps no other from it. The same line again is the same job, so a request that
/// broke off is simply sent again. The batch then takes no further lines, unless some were refused or `more=true` says that more
/// come.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/jobs", tag = "batches",
    params(
        ("id" = uuid::Uuid, Path),
        ("project_id" = Option<uuid::Uuid>, Query, description = "Of lines that name none"),
        ("first_line" = Option<u32>, Query, description = "Which line of the file the first one is; 1 by default"),
        ("more" = Option<bool>, Query, description = "More lines come in further requests"),
        ("check" = Option<bool>, Query, description = "Only look what would be refused; whether projects exist is not looked at"),
    ),
    request_body(content_type = "application/x-ndjson", content = BatchLine),
    responses(
        (status = 200, body = LinesView), (status = 400), (status = 404),
        (status = 409, description = "It takes no further lines"), (status = 415), (status = 422)
    )
)]
pub(crate) async fn submit_lines(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
    request: Request,
) -> Result<Json<LinesView>, ApiError> {
    let id = ids.batch()?;
    let options = Options::read(query)?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media);
    if kind.is_some_and(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(ApiError::UnsupportedMediaType("Content-Type should be application/x-ndjson"));
    }
    view(&app, caller.tenant, id).await?;
    let lines = Lines::new(request.into_body(), options.first, app.config.body_limit);
    let report = take(&app, caller.tenant, id, options, lines).await?;
    let complete = !options.more && !options.check && report.refused == 0;
    if complete {
        batch::close(&app.client(caller.tenant).await?, caller.tenant, id).await?;
        app.waker.wake_all();
    }
    let batch: BatchView = view(&app, caller.tenant, id).await?;
    Ok(Json(report.into_view(batch)))
}

async fn take(app: &Shared, tenant: TenantId, id: BatchId, options: Options, lines: Lines) -> Result<Report, ApiError> {
    let mut writer = Writer::new(app.clone(), tenant, id);
    if let Err(error) = write(app, options, lines, &mut writer).await {
        writer.settle().await;
        return Err(error);
    }
    Ok(writer.report)
}

async fn write(app: &Shared, options: Options, mut lines: Lines, writer: &mut Writer) -> Result<(), ApiError> {
    let mut reading = Reading::new(app, options.project);
    let limit = app.config.body_limit;
    while let Some((number, line)) = lines.next().await? {
        if number > MAX_LINES {
            return Err(ApiError::TooLarge(format!("A batch should have at most {MAX_LINES} lines").into()));
        }
        let (asked, bytes) = match line {
            Line::Text(text) => (reading.read(number, text).await, text.len()),
            Line::TooLong => (Err(ApiError::TooLarge(format!("Line should have at most {limit} bytes").into())), 0),
        };
        match asked {
            Ok(_) if options.check => writer.report.accepted += 1,
            Ok(asked) => writer.push(asked, bytes).await?,
            Err(error) => writer.report.refuse(number, error)?,
        }
    }
    writer.finish().await
}
