//! What surrounds every request, outermost first: one trailing slash less, an id, a log line and the headers against browsers, CORS.

mod coding;
mod cors;
mod head;
mod host;
mod observe;
mod request_id;
mod security;
mod slash;

pub(crate) use self::{
    coding::uncoded, cors::layer as cors, head::whole_heads, host::unambiguous, observe::observe,
    request_id::RequestId, slash::without_trailing_slash,
};
