//! A tenant that has used up a quota: which, how much of it, and what makes room.

use std::time::Duration;

use super::ApiError;

/// After which a client may ask again: room is made by people.
const BY_PEOPLE: Duration = Duration::from_secs(60);
/// And where the fleet makes it.
const BY_THE_FLEET: Duration = Duration::from_secs(10);

impl ApiError {
    /// Refuses what goes beyond a quota. `lacks` is in the words of the schema: `<what>: <n> of <most> are used`.
    pub(crate) fn over_quota(lacks: &str) -> Self {
        let what = lacks.split_once(':').map_or(lacks, |(what, _)| what);
        let (remedy, wait) = match what {
            "queued jobs" => ("wait until some have started, cancel some", BY_THE_FLEET),
            "held batch lines" => ("wait until batches have let some go, cancel a batch", BY_THE_FLEET),
            "stored bytes" => ("delete projects or keep fewer versions", BY_PEOPLE),
            _ => ("delete some", BY_PEOPLE),
        };
        let detail = format!("Quota of the tenant's {lacks}: {remedy}, or have an operator raise it");
        Self::RateLimited { detail, wait }
    }
}
