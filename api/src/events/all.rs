//! `GET /events`: the events of all the tenant's jobs, from now on or from a place in the line.

use axum::{extract::State, http::HeaderMap, response::Response};
use drydock_database::{
    DatabaseError,
    event::{self, EventCursor},
};
use drydock_domain::TenantId;
use drydock_runtime::exit::chain;

use super::views;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::Query,
    state::{App, Shared},
    stream::{self, Closed, Format, Outlet, StreamLine},
};

const PAGE: i64 = 200;

/// Events of all jobs
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(("after" = Option<String>, Query, description = "Resume after this event id, `0-0` for the oldest; `Last-Event-ID` wins")),
    responses((status = 200, description = "Events from now on; NDJSON by `Accept`", content((views::EventView = "text/event-stream"), (StreamLine = "application/x-ndjson"))))
)]
pub(crate) async fn all_events(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let after: Option<EventCursor> = stream::resume_after(&headers, query.fields(), "an event id like 748-12")?;
    let after = match after {
        Some(after) => after,
        None => event::now(&app.client(caller.tenant).await?).await?,
    };
    let source = app.clone();
    stream::open(&app, caller, Format::wanted(&headers), move |outlet| follow(source, caller.tenant, outlet, after))
}

async fn follow(app: Shared, tenant: TenantId, mut outlet: Outlet, mut after: EventCursor) {
    let mut watch = app.feed.watch();
    loop {
        match step(&app, tenant, &mut outlet, &mut after).await {
            Ok(Ok(())) => {}
            Ok(Err(Closed)) => return,
            Err(error) => return tracing::warn!("failed to stream events: {}", chain(&error)),
        }
        if outlet.wait(watch.news(None)).await.is_err() {
            return;
        }
    }
}

async fn step(
    app: &App,
    tenant: TenantId,
    outlet: &mut Outlet,
    after: &mut EventCursor,
) -> Result<Result<(), Closed>, DatabaseError> {
    loop {
        let rows = event::of_tenant(&app.client(tenant).await?, tenant, *after, PAGE).await?;
        if rows.is_empty() {
            return Ok(Ok(()));
        }
        for row in rows {
            *after = row.cursor;
            if outlet.send(&views::frame(row)).await.is_err() {
                return Ok(Err(Closed));
            }
        }
    }
}
