//! What handlers take out of a request. None of these answers with the framework's own rejection.

mod head;
mod ids;
mod json;
mod query;
mod range;
pub(crate) mod unique;

pub(crate) use self::{
    head::{Expected, head_tag, tagged},
    ids::Ids,
    json::{JsonBody, OptionalJson},
    query::{MAX_PAGE, Paging, Query},
    range::ByteRange,
};
