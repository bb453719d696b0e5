//! How often a tenant may ask for new jobs: a token bucket each, in this process. Of a batch, the request counts, not its lines.
//!
//! `bucket` has the rule and its headers, `layer` asks it before a handler runs.

mod bucket;
mod layer;

pub(crate) use self::{
    bucket::{JobRate, whole_seconds},
    layer::{counts, limit},
};
