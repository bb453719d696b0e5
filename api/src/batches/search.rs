//! `GET /batches/{id}/logs/search`: which lines' jobs printed something, how often, and what.

use std::{
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use drydock_database::batch::{self, LineFilter, LineLog};
use drydock_domain::{BatchId, JobId, ProjectId, Status};
use serde::Serialize;

use super::{results, show::view};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, MAX_PAGE, Query},
    logs::{self, Budget, Counted, Found, HitView, Pattern, Scan, Spot, Wanted},
    places,
    state::Shared,
    stream::{self, Format, Frame, Outlet, StreamLine},
    validate::{Fault, Fields, rules},
};

/// Lines of the batch of one read.
const READ: i64 = 200;
/// Jobs of a page by default.
const JOBS: usize = 50;
/// How long after its time a search waits for its client.
const SLOW: Duration = Duration::from_secs(2);
/// What a text that is counted has at most, in characters.
const GROUP: usize = 200;
/// Jobs named of those that printed the same.
const NAMED: usize = 5;

/// Jobs of a batch that printed it.
#[derive(Default, Serialize, utoipa::ToSchema)]
pub(crate) struct BatchFoundView {
    /// In the order of the file.
    items: Vec<JobFoundView>,
    /// The jobs of `items` by what matched first in their logs, most frequent first.
    groups: Vec<GroupView>,
    /// Jobs whose logs were searched for this page.
    searched: usize,
    /// Jobs whose logs could not be read.
    #[schema(value_type = Vec<Uuid>)]
    unreadable: Vec<JobId>,
    /// All logs that there are were searched.
    complete: bool,
    /// For `?cursor=`, until all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A job that printed it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JobFoundView {
    /// The line of the batch, from 1.
    line: i32,
    #[schema(value_type = Uuid)]
    job_id: JobId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    title: String,
    #[schema(value_type = String)]
    status: Status,
    attempt: i16,
    /// Lines of its log that match, of those searched for this page.
    total: u64,
    /// Its log was not searched to the end when time was up: the next page has the rest, as one more item.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    /// The first of them.
    first: HitView,
}

/// Jobs that printed the same.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GroupView {
    /// What matched, at most 200 characters.
    text: String,
    jobs: usize,
    /// The first five.
    #[schema(value_type = Vec<Uuid>)]
    job_ids: Vec<JobId>,
}

/// Parameters, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
struct BatchSearchQuery {
    /// What to look for within a line: 1 to 1,000 characters, without line breaks.
    q: String,
    /// `q` is a regular expression; `false` by default.
    regex: Option<bool>,
    /// Upper and lower case are the same; `false` by default.
    ignore_case: Option<bool>,
    /// `all` (default), `ended`, `completed` or `error`: whose logs.
    status: Option<String>,
    /// Jobs to tell: 1 to 500, 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Search in a batch's logs
///
/// Which jobs printed it, how many lines of each, and what matched. Of a line that was run again the newest job counts, and of a job the newest
/// attempt. One request searches for some seconds at most (`search_time_s` of `/limits`); a page may then hold no job, and `next_cursor`
/// says where to go on. As for one log, see `GET …/logs/search`.
///
/// As NDJSON the same page is told while it is searched: each job at once, as `job` with the cursor after it as `id`, then `end` with the page without
/// `items`. Without `end` it broke off.
#[utoipa::path(
    get, path = "/api/v1/batches/{id}/logs/search", tag = "batches",
    params(("id" = uuid::Uuid, Path), BatchSearchQuery),
    responses(
        (status = 200, description = "A page; NDJSON by `Accept`", content((BatchFoundView = "application/json"), (StreamLine = "application/x-ndjson"))),
        (status = 404),
        (status = 422),
        (status = 429, description = "The tenant searches too much at once"),
        (status = 503)
    )
)]
pub(crate) async fn search_batch(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let id = ids.batch()?;
    let asked = Asked::read(query.fields())?;
    view(&app, caller.tenant, id).await?;
    let place = app.searches.enter(caller.tenant).await?;
    let pattern = Arc::new(asked.wanted.clone().compile().await?);
    let until = Instant::now() + app.config.search_time;
    let view = BatchFoundView::default();
    let mut search = Search { app: app.clone(), caller, asked, pattern, until, view, outlet: None };
    if Format::wanted(&headers) == Format::Ndjson {
        return stream::open(&app, caller, Format::Ndjson, move |outlet| {
            search.outlet = Some(outlet);
            search.stream(id, place)
        });
    }
    let end = search.run(id).await?;
    Ok(Json(search.end(end)).into_response())
}

/// A place in the batch: lines up to `line` are done, and of the next one the log before `next`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    line: i32,
    next: Spot,
}

/// What a request asks.
struct Asked {
    wanted: Wanted,
    filter: LineFilter,
    limit: usize,
    from: Place,
}

struct Search {
    app: Shared,
    caller: Caller,
    asked: Asked,
    pattern: Arc<Pattern>,
    until: Instant,
    view: BatchFoundView,
    /// Where jobs are told at once.
    outlet: Option<Outlet>,
}

impl Search {
    /// Searches and tells; without the last frame where that fails.
    async fn stream(mut self, id: BatchId, place: places::Place) {
        let end = match self.run(id).await {
            Ok(end) => end,
            Err(error) => return tracing::warn!(batch = %id, "failed to search a batch's logs: {error:?}"),
        };
        drop(place);
        let Some(mut outlet) = self.outlet.take() else { return };
        let mut rest = serde_json::to_value(self.end(end)).unwrap_or_default();
        rest.as_object_mut().map(|rest| rest.remove("items"));
        // Whoever is gone needs no end.
        let _closed = outlet.send(&Frame::End(rest)).await;
    }

    /// Tells of the job found last, if it was found now. `false`: the client is gone or too slow, and would have the place meanwhile.
    async fn tell(&mut self, before: usize, place: Place) -> bool {
        let (Some(outlet), Some(item)) = (&mut self.outlet, self.view.items.get(before)) else { return true };
        let id = Cursor { mark: self.asked.wanted.mark(), place }.to_string();
        let data = serde_json::to_value(item).unwrap_or_default();
        let frame = Frame::Event { id, name: "job".to_owned(), data };
        let sent = tokio::time::timeout_at((self.until + SLOW).into(), outlet.send(&frame)).await;
        let sent = matches!(sent, Ok(Ok(())));
        self.outlet.take_if(|_| !sent);
        sent
    }

    /// Searches in one log after the other until the page is full or time is up; where to go on then.
    async fn run(&mut self, id: BatchId) -> Result<Option<Place>, ApiError> {
        let mut place = self.asked.from;
        loop {
            let client = self.app.client(self.caller.tenant).await?;
            let logs = batch::line_logs(&client, self.caller.tenant, id, self.asked.filter, place.line, READ).await?;
            drop(client);
            let last = logs.len() < usize::try_from(READ).unwrap_or(usize::MAX);
            for log in logs {
                let begun = place != self.asked.from;
                if self.view.items.len() >= self.asked.limit || begun && Instant::now() >= self.until {
                    return Ok(Some(place));
                }
                let (line, found) = (log.line, self.view.items.len());
                let next = self.job(log, place.next).await?;
                place = next.map_or(Place { line, next: Spot::default() }, |next| Place { next, ..place });
                if !self.tell(found, place).await || next.is_some() {
                    return Ok(Some(place));
                }
            }
            if last {
                return Ok(None);
            }
        }
    }

    /// Searches in one job's log; where to go on in it, where time was up.
    async fn job(&mut self, line: LineLog, from: Spot) -> Result<Option<Spot>, ApiError> {
        let Some(log) = &line.log else { return Ok(None) };
        let budget = Budget { keep: 1, until: self.until };
        let counted = Counted::none_before(from);
        let scan = Scan::new(Arc::clone(&self.pattern), budget, from, counted);
        // Boxed: the future of a whole search is a big one.
        let found = match Box::pin(logs::run(&self.app, self.caller.tenant, log, scan)).await {
            Ok(found) => found,
            Err(error @ ApiError::Unavailable { .. }) => return Err(error),
            Err(error) => {
                tracing::error!(job = %line.job, ?error, "failed to search a log of a batch");
                self.view.unreadable.push(line.job);
                return Ok(None);
            }
        };
        let Found { total, hits, complete, counted, .. } = found;
        self.view.searched += usize::from(complete);
        let next = (!complete).then(|| counted.place());
        if let Some(first) = hits.into_iter().next() {
            let attempt = log.number;
            let LineLog { line, job, project, title, state, .. } = line;
            let (status, partial) = (state.status(), !complete);
            let found =
                JobFoundView { line, job_id: job, project_id: project, title, status, attempt, total, partial, first };
            self.view.items.push(found);
        }
        Ok(next)
    }

    fn end(self, place: Option<Place>) -> BatchFoundView {
        let Self { asked, mut view, .. } = self;
        view.complete = place.is_none();
        view.next_cursor = place.map(|place| Cursor { mark: asked.wanted.mark(), place }.to_string());
        view.groups = groups(&view.items);
        view
    }
}

fn groups(items: &[JobFoundView]) -> Vec<GroupView> {
    let mut groups: Vec<GroupView> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for item in items {
        let text: String = item.first.matched().chars().take(GROUP).collect();
        let at = *known.entry(text.clone()).or_insert_with(|| {
            groups.push(GroupView { text, jobs: 0, job_ids: Vec::new() });
            groups.len() - 1
        });
        groups[at].jobs += 1;
        if groups[at].job_ids.len() < NAMED {
            groups[at].job_ids.push(item.job_id);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.jobs));
    groups
}

impl Asked {
    fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let wanted = Wanted::take(&mut fields);
        let filter = fields.optional("status", results::filter).unwrap_or(LineFilter::All);
        let limit = fields.optional("limit", rules::number(1, MAX_PAGE)).unwrap_or(JOBS);
        let cursor = fields.optional("cursor", |value| {
            let cursor: Option<Cursor> = value.as_str().and_then(|text| text.parse().ok());
            let same = |cursor: &Cursor| wanted.as_ref().is_none_or(|wanted| wanted.mark() == cursor.mark);
            cursor.filter(same).ok_or_else(|| Fault::value("Input should be a next_cursor of this search"))
        });
        let from = cursor.map_or_else(Place::default, |cursor| cursor.place);
        fields.finish(|| Some(Self { wanted: wanted?, filter, limit, from }))
    }
}

/// Where a search goes on, and which it is.
struct Cursor {
    mark: u64,
    place: Place,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mark, place: Place { line, next } } = self;
        write!(f, "{mark:x}-{line}-{}-{}", next.offset, next.line)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut part = || parts.next().unwrap_or_default();
        let mark = u64::from_str_radix(part(), 16)?;
        let line = part().parse()?;
        // None is near the end of its type, so that it can be counted on from.
        let next = Spot { offset: part().parse::<u32>()?.into(), line: part().parse::<u32>()?.into() };
        Ok(Self { mark, place: Place { line, next } })
    }
}
