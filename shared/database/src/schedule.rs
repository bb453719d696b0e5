//! The `schedule` table: kept by the API, fired by the dispatcher's leader. Next times are computed by the caller
//! (`drydock_domain::schedule`), never here.

mod change;
mod fire;
mod read;

pub use change::{Created, NewSchedule, create, delete, now, update};
pub use fire::{Due, Fired, due, fire};
pub use read::{ScheduleRow, find, list};
