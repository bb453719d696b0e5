//! `POST /batches/{id}/jobs`: lines in, as they arrive. What is in memory is a few chunks, however long the file; what was answered
//! for is durable, and the same lines may be sent again.

mod asked;
pub(crate) mod reader;
mod report;
mod submit;
mod writer;

pub(crate) use self::submit::*;
