//! `POST /workspaces/{id}/ai-action`: a job made of an action and what it is about, shown until it is over.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use drydock_database::job::NewJob;
use drydock_domain::{Instruction, JobId, JobType, Status, TenantId};
use drydock_runtime::exit::chain;
use serde_json::Value;

use crate::{
    audit::Draft,
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody},
    jobs::{self, idempotency},
    state::{App, Shared},
    stream::{self, Frame, Outlet},
    validate::{Fault, Fields, rules},
};

/// Longest action, in characters: it is the job's title.
const MAX_ACTION: usize = drydock_domain::instruction::MAX_TITLE_CHARS;

/// Body of an action, for the document.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct ActionBody {
    /// What to do: the job's title.
    action: String,
    /// What it is about: a text, or anything else, which the agent is shown as JSON.
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
}

/// Have something done, and watch it
///
/// Makes an `edit` job of the project, whose title is the action and whose instruction is made of action and context, together at most
/// 2,000 characters. The answer is a stream: the whole job as one `data:` line on every change and at least every second, until it is
/// final. `X-Job-Id` names the job; it goes on when the client goes away.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{id}/ai-action", tag = "workspaces",
    params(
        ("id" = uuid::Uuid, Path, description = "The project's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = ActionBody,
    responses(
        (status = 200, description = "The job, again and again", headers(("X-Job-Id" = uuid::Uuid, description = "The job")), content((crate::jobs::JobView = "text/event-stream"))),
        (status = 404),
    )
)]
pub(crate) async fn ai_action(
    State(app): State<Shared>,
    caller: Caller,
    draft: Draft,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let JsonBody { value, raw } = body;
    let (action, instruction) = read(value)?;
    let mut new = NewJob::new(project, JobType::Edit, action, instruction);
    new.idempotency = idempotency(&headers, &format!("POST /workspaces/{project}/ai-action"), &raw)?;
    new.audit = Some(draft.accepted(new.id));
    // Before the job is made: where nobody can watch it, nothing is done.
    let place = stream::place(&app)?;
    let job = jobs::accept(&app, caller.tenant, new, raw.len()).await?;
    let source = Arc::clone(&app);
    let produce = move |outlet| follow(source, outlet, caller.tenant, job);
    let mut response = stream::open_at(place, &app, caller, stream::Format::Sse, produce);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend(
        HeaderValue::from_str(&job.to_string()).ok().map(|id| (header::HeaderName::from_static("x-job-id"), id)),
    );
    Ok(response)
}

/// The action, and the instruction made of it.
fn read(body: Value) -> Result<(String, String), ApiError> {
    let mut fields = Fields::body(body)?;
    let action = fields.required("action", action);
    let context = fields.optional("context", |value| match value.to_string().contains("\\u0000") {
        true => Err(Fault::value("it holds U+0000, which no instruction can")),
        false => Ok(value.clone()),
    });
    let instruction = action.as_ref().map(|action| instruct(action, context.as_ref()));
    let instruction = instruction.and_then(|text| match Instruction::for_job(&text) {
        Ok(instruction) => Some(instruction),
        Err(error) => {
            fields.refuse("context", Fault::value(format!("With the action: {error}")));
            None
        }
    });
    fields.finish(|| Some((action?, instruction?.as_str().to_owned())))
}

fn action(value: &Value) -> Result<String, Fault> {
    let text = rules::text(1, MAX_ACTION)(value)?;
    if text.trim().is_empty() { Err(Fault::value("Input should say what to do")) } else { Ok(text) }
}

fn instruct(action: &str, context: Option<&Value>) -> String {
    match context {
        None | Some(Value::Null) => action.to_owned(),
        Some(Value::String(text)) if text.trim().is_empty() => action.to_owned(),
        Some(Value::String(text)) => format!("{action}\n\nContext:\n{text}"),
        Some(other) => format!("{action}\n\nContext:\n{other:#}"),
    }
}

async fn follow(app: Arc<App>, mut outlet: Outlet, tenant: TenantId, job: JobId) {
    let mut watch = app.feed.watch();
    loop {
        let view = match jobs::view(&app, tenant, job).await {
            Ok(view) => view,
            // The stream ends; the job goes on, and can be asked for by its id.
            Err(error) => return tracing::warn!(%job, "failed to show a job to who watches it: {error:?}"),
        };
        let last = !matches!(view.status, Status::Queued | Status::InProgress);
        let shown = match serde_json::to_value(view) {
            Ok(shown) => shown,
            Err(error) => return tracing::error!(%job, "a job cannot be written: {}", chain(&error)),
        };
        // The watch looks up every second by itself.
        if outlet.send(&Frame::Data(shown)).await.is_err() || last || outlet.wait(watch.news(Some(job))).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_instruction_is_made_of_both() {
        let of = |context: Value| read(json!({"action": "Fix it", "context": context})).unwrap().1;
        assert_eq!(of(json!("the test")), "Fix it\n\nContext:\nthe test");
        assert_eq!(of(json!({"file": "a.rs"})), "Fix it\n\nContext:\n{\n  \"file\": \"a.rs\"\n}");
        assert_eq!((of(Value::Null), of(json!("  "))), ("Fix it".to_owned(), "Fix it".to_owned()));
        assert!(matches!(read(json!({"action": "Fix it", "context": "x".repeat(2000)})), Err(ApiError::Invalid(_))));
        for refused in
            [json!({"context": "x"}), json!({"action": "  "}), json!({"action": "x", "context": {"a": "b\u{0}"}})]
        {
            assert!(matches!(read(refused), Err(ApiError::Invalid(_))));
        }
    }
}
