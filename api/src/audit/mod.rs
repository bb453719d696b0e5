//! The audit log: every request that may change something, with who asked and what came of it.
//!
//! `actions` names them, `layer` records them, `draft` is a record in the making, `log` has records written; `list` and `export` show
//! them. A new job's record is written in the transaction that accepts it. Any other request is recorded before its handler runs, which
//! it does not without, and its outcome after: one that has none was cut off by the end of the process, and may have been done.

mod actions;
mod changes;
mod draft;
mod export;
mod layer;
mod list;
mod log;

pub(crate) use self::{
    actions::records,
    changes::{changed, of_one_change},
    draft::Draft,
    export::*,
    layer::record,
    list::*,
    log::AuditLog,
};
