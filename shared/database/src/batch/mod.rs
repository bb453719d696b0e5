//! The `batch` table: many jobs as one thing. Its jobs are rows of `job`, one a line of what was submitted; it lets them go by and
//! by, and counts them by what changes (`batch_tally`), so that no read and no step costs what the batch has jobs.

mod accept;
mod change;
mod failures;
mod lines;
mod logs;
mod read;
mod step;

pub use self::{
    accept::{LineJob, LineOutcome, Refused, accept, beyond},
    change::{BatchSettings, Changed, Created, NewBatch, cancel, change, close, create, pause, resume, retry_failed},
    failures::{Cause, causes},
    lines::{LineFilter, LineRow, lines},
    logs::{LineLog, line_logs},
    read::{BatchRow, Counts, PauseReason, find, list},
    step::{Stepped, due, step},
};
