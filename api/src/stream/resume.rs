//! Where a stream starts: after `Last-Event-ID` or `?after=`. The header wins, because a browser that reconnects repeats
//! the first URL.

use std::str::FromStr;

use axum::http::HeaderMap;

use crate::{
    error::ApiError,
    validate::{Fault, Fields},
};

/// The place to resume after, if the client names one.
pub(crate) fn resume_after<T: FromStr>(
    headers: &HeaderMap,
    mut query: Fields,
    what: &'static str,
) -> Result<Option<T>, ApiError> {
    let read = |text: &str| text.parse().map_err(|_| Fault::value(format!("Input should be {what}")));
    let given = query.optional("after", |value| read(value.as_str().unwrap_or_default()));
    let resumed = headers.get("last-event-id").map(|value| read(value.to_str().unwrap_or_default()));
    let resumed = resumed.transpose().map_err(|fault| query.refuse("after", fault)).unwrap_or(None);
    query.finish(|| Some(resumed.or(given)))
}
