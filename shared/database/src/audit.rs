//! The audit log: records of who asked for what, what came of it, and the chain that shows when one was changed or removed.

mod append;
mod chain;
mod changes;
mod read;
mod record;

pub use self::{
    append::append,
    chain::{ChainedRecord, chain, chained, pending},
    changes::Changes,
    read::{AuditFilter, AuditRow, list},
    record::{Actor, Asked, AuditRecord, AuditResult, Origin, Outcome},
};
