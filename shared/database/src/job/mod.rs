//! The `job` table: a call reads `job::claim(…)`, `job::finish(…)`.

mod accept;
mod claim;
mod dispatch;
mod finish;
mod list;
mod progress;
mod read;

pub use accept::{Accepted, Idempotency, NewJob, accept, accept_and_read};
pub use claim::{Claim, Claimed, JobSpec, claim};
pub use dispatch::{Term, admit, due, redispatch, return_ticket};
pub use finish::{Finished, finish};
pub use list::{JobFilter, list};
pub use progress::progress;
pub use read::{AttemptRow, JobRow, Waiting, find, state, waiting};
