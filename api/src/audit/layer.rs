//! The one place where requests that may change something are recorded: before a handler sees them, and when they are answered.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use drydock_database::audit::{AuditRecord, AuditResult, Changes, Outcome};
use drydock_runtime::tasks;
use uuid::Uuid;

use super::{
    actions::{self, Action},
    changes::noted,
    draft::Draft,
};
use crate::{auth::Caller, serve::Client, state::Shared};

/// Has a request recorded that may change something. Where that cannot be done, neither can what it asks for.
pub(crate) async fn record(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let action = route.and_then(|route| actions::of(request.method(), route.as_str()));
    // Without a caller it was not let in, or is for everybody.
    let caller = request.extensions().get::<Caller>().copied();
    let (Some(action), Some(caller)) = (action, caller) else { return next.run(request).await };
    let ip = request.extensions().get::<Client>().map(|client| client.ip);
    let draft = Draft::of(&request, caller, action.name, ip);
    if action.with_the_change {
        request.extensions_mut().insert(draft.clone());
        let response = next.run(request).await;
        let result = result(&response, action);
        // One that is done, or done before, has its record.
        if result.outcome != Outcome::Done {
            app.audit.write_soon(draft.whole(result)).await;
        }
        return response;
    }
    let asked = draft.asked();
    // From here on, so that nobody goes away between the record and its outcome.
    let pending = Pending(Some((app.clone(), draft)));
    let response = match app.audit.write(asked).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    pending.ended(result(&response, action)).await;
    response
}

/// A request that is recorded and not answered yet.
struct Pending(Option<(Shared, Draft)>);

impl Pending {
    async fn ended(mut self, result: AuditResult) {
        if let Some((app, draft)) = self.0.take() {
            app.audit.write_soon(draft.answered(result)).await;
        }
    }
}

impl Drop for Pending {
    /// The handler is gone with the connection, in the middle of what it did.
    fn drop(&mut self) {
        if let Some((app, draft)) = self.0.take() {
            let result =
                AuditResult { outcome: Outcome::Abandoned, status: None, created: None, changes: Changes::default() };
            let record: AuditRecord = draft.answered(result);
            tasks::spawn("audit", async move { app.audit.write_soon(record).await });
        }
    }
}

fn result(response: &Response, action: Action) -> AuditResult {
    let status = response.status();
    let outcome = match status {
        _ if status.is_success() => Outcome::Done,
        _ if status.is_server_error() || action.in_parts => Outcome::Failed,
        _ => Outcome::Refused,
    };
    let created = matches!(status, StatusCode::CREATED | StatusCode::ACCEPTED).then(|| created(response)).flatten();
    AuditResult { outcome, status: Some(status.as_u16()), created, changes: noted(response) }
}

/// What an answer says it made.
fn created(response: &Response) -> Option<Uuid> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next()?.parse().ok()
}
