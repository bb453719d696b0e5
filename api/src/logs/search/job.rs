//! `GET …/logs/search`: the lines of one log that match, with how many there are.

use std::{sync::Arc, time::Instant};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    cursor::Cursor,
    hit::HitView,
    pattern::Wanted,
    run::run,
    scan::{Budget, Scan},
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, MAX_PAGE, Query},
    state::Shared,
    validate::{Fault, Fields, rules},
};

/// Lines of a page by default.
const LINES: usize = 50;

/// Lines of a log that match.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FoundView {
    items: Vec<HitView>,
    /// Matching lines from the beginning of the log, as far as it was counted.
    total: u64,
    /// Everything that was in the log was counted. If not, time was up: go on with `next_cursor`, and `total` goes on, too.
    complete: bool,
    /// The attempt is over: no more lines will come.
    ended: bool,
    /// Which try's log; none where the job has not been tried yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<i16>,
    /// For `?cursor=`, when there is more to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Parameters, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
pub(crate) struct SearchQuery {
    /// What to look for within a line: 1 to 1,000 characters, without line breaks.
    q: String,
    /// `q` is a regular expression (of Rust's `regex`: linear in time, without look-around and back-references); `false` by default.
    regex: Option<bool>,
    /// Upper and lower case are the same; `false` by default.
    ignore_case: Option<bool>,
    /// Which try, the newest by default.
    attempt: Option<u16>,
    /// Lines to tell: 0 (only count) to 500, 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Search in a log
///
/// Lines that match, in order, and how many there are in all. Colours and other escapes of a terminal are no part of a line, nor is a carriage
/// return at its end. Standard output and error are one log, in their order. While the job runs, the log is searched as far as it is there.
/// Of a line of more than 64 KiB, matches longer than 16 KiB may be missed.
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/jobs/{job_id}/logs/search", tag = "logs",
    params(("id" = uuid::Uuid, Path), ("job_id" = uuid::Uuid, Path), SearchQuery),
    responses(
        (status = 200, body = FoundView),
        (status = 404),
        (status = 422),
        (status = 429, description = "The tenant searches too much at once"),
        (status = 503)
    )
)]
pub(crate) async fn search_log(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<FoundView>, ApiError> {
    let Asked { wanted, number, limit, cursor } = Asked::read(query.fields())?;
    let (_, _, log) = super::super::of_job(&app, caller.tenant, &ids, number).await?;
    let _place = app.searches.enter(caller.tenant).await?;
    let mark = wanted.mark();
    let pattern = Arc::new(wanted.compile().await?);
    let Some(log) = log else {
        let view =
            FoundView { items: vec![], total: 0, complete: true, ended: false, attempt: None, next_cursor: None };
        return Ok(Json(view));
    };
    let (from, counted) = cursor.map_or_else(Default::default, |cursor| (cursor.next, cursor.counted));
    let budget = Budget { keep: limit, until: Instant::now() + app.config.search_time };
    let found = run(&app, caller.tenant, &log, Scan::new(pattern, budget, from, counted)).await?;
    let next = found.next.map(|next| Cursor { mark, attempt: log.number, next, counted: found.counted });
    Ok(Json(FoundView {
        items: found.hits,
        total: found.total,
        complete: found.complete,
        ended: found.ended,
        attempt: Some(log.number),
        next_cursor: next.map(|next| next.to_string()),
    }))
}

/// What a request asks.
struct Asked {
    wanted: Wanted,
    number: Option<i16>,
    limit: usize,
    cursor: Option<Cursor>,
}

impl Asked {
    fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let wanted = Wanted::take(&mut fields);
        let attempt = super::super::attempt(&mut fields);
        let limit = fields.optional("limit", rules::number(0, MAX_PAGE)).unwrap_or(LINES);
        let cursor = fields.optional("cursor", |value| {
            let cursor: Option<Cursor> = value.as_str().and_then(|text| text.parse().ok());
            let of_this = |cursor: &Cursor| {
                let same = wanted.as_ref().is_none_or(|wanted| wanted.mark() == cursor.mark);
                same && attempt.is_none_or(|attempt| attempt == cursor.attempt)
            };
            cursor.filter(of_this).ok_or_else(|| Fault::value("Input should be a next_cursor of this search"))
        });
        let number = attempt.or(cursor.map(|cursor| cursor.attempt));
        fields.finish(|| Some(Self { wanted: wanted?, number, limit, cursor }))
    }
}
