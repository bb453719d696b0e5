//! The `job` table: a call reads `job::claim(…)`, `job::finish(…)`.

mod accept;
mod cancel;
mod claim;
mod dispatch;
mod finish;
mod list;
mod progress;
mod read;
mod waits;

pub use accept::{Accepted, Idempotency, NewJob, accept, accept_all, accept_and_read};
pub use cancel::{Canceled, cancel, cancelling};
pub use claim::{Claim, Claimed, JobSpec, claim};
pub use dispatch::{Term, admit, pull, redispatch, return_ticket};
pub use finish::{Finish, Finished, finish};
pub use list::{JobFilter, list};
pub use progress::progress;
pub use read::{AttemptRow, JobRow, Waiting, find, state, waiting};
pub use waits::{Moved, end_waits};
