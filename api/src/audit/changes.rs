//! What a request changed, on its way from the handler to the record of what came of it.

use axum::response::Response;
use drydock_database::audit::Changes;
use serde::Serialize;

/// The answer, with what is to be recorded as changed.
pub(crate) fn changed(mut response: Response, changes: Changes) -> Response {
    response.extensions_mut().insert(changes);
    response
}

/// What changed between two views of a thing, where its revisions say that nobody else changed it meanwhile; else only what is now.
pub(crate) fn of_one_change(
    (before, now): (i32, i32),
    was: &impl Serialize,
    is: &impl Serialize,
    fields: &[&'static str],
) -> Changes {
    match now - before {
        0 => Changes::default(),
        1 => Changes::between(was, is, fields),
        _ => Changes::to(is, fields),
    }
}

/// What the handler noted.
pub(super) fn noted(response: &Response) -> Changes {
    response.extensions().get().cloned().unwrap_or_default()
}
