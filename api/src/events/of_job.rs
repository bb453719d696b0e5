//! `GET /jobs/{id}/events`: a job's events from the first one, until it is final.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    DatabaseError,
    event::{self, EventCursor},
    job,
};
use drydock_domain::{JobId, JobState, TenantId};
use drydock_runtime::exit::chain;
use serde_json::json;

use super::views::{self, JobFrame};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::{App, Shared},
    stream::{self, Closed, Format, Frame, Outlet, StreamLine},
};

const PAGE: i64 = 200;

/// Events of one job
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = uuid::Uuid, Path),
        ("after" = Option<String>, Query, description = "Resume after this event id; `Last-Event-ID` wins"),
    ),
    responses((status = 200, description = "Events from the first one on, then `end`; NDJSON by `Accept`", content((JobFrame = "text/event-stream"), (StreamLine = "application/x-ndjson"))))
)]
pub(crate) async fn job_events(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let job = ids.job()?;
    let after: Option<EventCursor> = stream::resume_after(&headers, query.fields(), "an event id like 748-12")?;
    job::state(&app.client(caller.tenant).await?, caller.tenant, job).await?.ok_or(ApiError::NO_JOB)?;
    let source = app.clone();
    stream::open(&app, caller, Format::wanted(&headers), move |outlet| {
        follow(source, outlet, (caller.tenant, job), after.unwrap_or_default())
    })
}

async fn follow(app: Shared, mut outlet: Outlet, (tenant, job): (TenantId, JobId), mut after: EventCursor) {
    let mut watch = app.feed.watch();
    loop {
        let end = match step(&app, &mut outlet, (tenant, job), &mut after).await {
            Ok(Ok(end)) => end,
            Ok(Err(Closed)) => return,
            // The client comes back to where it was, perhaps to a replica that can read.
            Err(error) => return tracing::warn!("failed to stream events: {}", chain(&error)),
        };
        if let Some(state) = end {
            let _gone = outlet.send(&Frame::End(json!({"job_id": job, "status": state.status()}))).await;
            return;
        }
        if outlet.wait(watch.news(Some(job))).await.is_err() {
            return;
        }
    }
}

/// Sends what is new. Some state: it was the last that will be.
async fn step(
    app: &App,
    outlet: &mut Outlet,
    (tenant, job): (TenantId, JobId),
    after: &mut EventCursor,
) -> Result<Result<Option<JobState>, Closed>, DatabaseError> {
    // Asked first: whatever was readable then is read below.
    let standing = event::standing(&app.client(tenant).await?, job).await?;
    loop {
        let rows = event::of_job(&app.client(tenant).await?, job, *after, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            *after = row.cursor;
            if outlet.send(&views::frame(row)).await.is_err() {
                return Ok(Err(Closed));
            }
        }
    }
    Ok(Ok(standing.and_then(|(state, unseen)| (state.is_terminal() && !unseen).then_some(state))))
}
