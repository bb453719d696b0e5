//! What surrounds every request, outermost first: one trailing slash less, an id and a log line, CORS.

mod coding;
mod cors;
mod head;
mod observe;
mod request_id;
mod slash;

pub(crate) use self::{
    coding::uncoded, cors::layer as cors, head::whole_heads, observe::observe, request_id::RequestId,
    slash::without_trailing_slash,
};
