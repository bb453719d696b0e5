//! All that is known of a run when it is over, from three sides: what clients were told, what agents did, what the database
//! holds. The checker reads nothing else.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{clock::Millis, side_log::Line};

/// A request that the API answered with "accepted".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Accepted {
    /// The client's idempotency key.
    pub(crate) key: String,
    /// The job it was told.
    pub(crate) job: Uuid,
}

/// A client saw a job at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sighting {
    /// The job.
    pub(crate) job: Uuid,
    /// The public word: `completed`, `error` or `cancelled`.
    pub(crate) status: String,
}

/// A job's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Job {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its project.
    pub(crate) project: Uuid,
    /// Whether its program writes to the side log and to `effects.txt` (not the ones that make the projects).
    pub(crate) ours: bool,
    /// It skips the lane and publishes nothing.
    pub(crate) read_only: bool,
    /// The state's name.
    pub(crate) state: String,
    /// The version it says it made.
    pub(crate) version: Option<i32>,
}

impl Job {
    /// Whether it is over.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "dead" | "canceled")
    }

    /// Whether it has a place of its project: waiting jobs wait for one.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "queued" | "dispatched" | "running")
    }
}

/// An attempt's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its job.
    pub(crate) job: Uuid,
    /// From 1.
    pub(crate) number: i16,
    /// The worker process that had it.
    pub(crate) worker: String,
    /// The state's name.
    pub(crate) state: String,
    /// By the database's clock.
    pub(crate) started: DateTime<Utc>,
    /// By the database's clock.
    pub(crate) finished: Option<DateTime<Utc>>,
}

/// A version's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    /// Its project.
    pub(crate) project: Uuid,
    /// From 1.
    pub(crate) number: i32,
    /// The one before.
    pub(crate) parent: i32,
    /// The job that made it, where a job did.
    pub(crate) job: Option<Uuid>,
    /// The attempt that made it, where one did.
    pub(crate) attempt: Option<Uuid>,
}

/// A time when a worker process could do nothing about its agents: dead or frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Helpless {
    /// The worker process.
    pub(crate) worker: String,
    /// Dead, not frozen.
    pub(crate) killed: bool,
    /// From.
    pub(crate) from: Millis,
    /// Until it ran again.
    pub(crate) until: Millis,
}

/// A process of an attempt that lives although all jobs are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Survivor {
    /// Its id.
    pub(crate) pid: i32,
    /// The mark in its environment.
    pub(crate) attempt: Uuid,
}

/// Everything.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct History {
    /// What clients were promised.
    pub(crate) accepted: Vec<Accepted>,
    /// Jobs whose cancellation was accepted: nothing of them may be published.
    pub(crate) canceled: Vec<Uuid>,
    /// Ends that clients saw.
    pub(crate) sightings: Vec<Sighting>,
    /// The side log, in order.
    #[serde(skip)]
    pub(crate) lines: Vec<Line>,
    /// Rows.
    pub(crate) jobs: Vec<Job>,
    /// Rows.
    pub(crate) attempts: Vec<Attempt>,
    /// Rows.
    pub(crate) versions: Vec<Version>,
    /// Each project's head version.
    pub(crate) heads: BTreeMap<Uuid, i32>,
    /// `effects.txt` of each project's head, read through the API: the jobs listed in it.
    pub(crate) effects: BTreeMap<Uuid, Vec<Uuid>>,
    /// When workers were helpless.
    pub(crate) helpless: Vec<Helpless>,
    /// What still runs.
    pub(crate) survivors: Vec<Survivor>,
}
