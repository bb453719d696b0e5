//! How often a tenant may ask for new jobs (of a batch, the request counts, not its lines), and for other changes, each of which is a record
//! of the audit log: a token bucket each, in this process.
//!
//! `bucket` has the rule and its headers, `layer` asks it before a handler runs. `strikes` counts bad keys by address.

mod bucket;
mod layer;
mod strikes;

pub(crate) use self::{
    bucket::{Rate, whole_seconds},
    layer::limit,
    strikes::Strikes,
};
