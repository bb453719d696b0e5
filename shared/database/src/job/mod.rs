//! The `job` table: a call reads `job::claim(…)`, `job::finish(…)`.

mod accept;
mod cancel;
mod claim;
mod dispatch;
pub(crate) mod finish;
mod held;
mod list;
mod progress;
pub(crate) mod read;
mod specification;
mod waiting;
mod waits;

pub use accept::{Accepted, Idempotency, NewJob, accept, accept_all, accept_and_show};
pub use cancel::{Canceled, cancel, cancelling};
pub use claim::{Asking, Claim, Claimed, JobSpec, claim, claim_group};
pub use dispatch::{Term, admit, next_in_line, pull, redispatch, return_ticket};
pub use finish::{Finish, Finished, finish, finish_group};
pub use held::Held;
pub use list::{JobFilter, list};
pub use progress::progress;
pub use read::{AttemptRow, JobRow, find, missing, state};
pub use specification::again;
pub use waiting::{Admission, BackOff, Lane, Place, Ready, Unmet, Waiting, waiting};
pub use waits::{Moved, end_waits};
