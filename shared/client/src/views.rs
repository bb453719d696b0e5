//! What answers hold, as far as this program uses it. Unknown fields are ignored and statuses are open words, so that a newer
//! server can be talked to.

mod audit;
mod batch;
mod file;
mod fleet;
mod people;
mod search;
mod session;
mod usage;
mod webhook;
mod workspace;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

pub use self::{
    audit::{AuditActor, AuditChange, AuditEntry},
    batch::{Batch, Cause, Counts, LineError, Lines, Retried},
    file::{FileChange, FileEntry, Files, FilesChange},
    fleet::{Pool, PoolJobs, PoolSlots, PoolWorkers, Worker},
    people::{Identity, NewTenant, Tenant, User},
    search::{BatchFound, Found, Hit, JobFound},
    session::{Session, SessionEnd},
    usage::{EndedJobs, Now, Tokens, Used, UsedDays},
    webhook::{Delivery, NewSecret, Webhook},
    workspace::{DaemonToken, NewDaemonToken, Workspace},
};

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next_cursor: Option<String>,
}

/// A project.
#[derive(Clone, Debug, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub instruction: String,
    /// The public status of its newest job.
    pub status: String,
    /// Summary of its newest job.
    pub summary: Option<String>,
    /// The agent of jobs that name none.
    pub agent: String,
    /// Where its jobs run.
    pub pool: String,
    /// The user's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The least isolation its jobs accept.
    pub min_isolation: Option<String>,
    /// The newest version.
    pub head_version: u64,
    /// Where its work can be seen.
    pub preview_url: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A project that was just created.
#[derive(Clone, Debug, Deserialize)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// Its first job.
    pub job_id: String,
}

/// A job.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Whose.
    pub project_id: String,
    /// What kind.
    pub job_type: String,
    /// For lists.
    pub title: String,
    /// The public status.
    pub status: String,
    /// The finer state.
    pub status_detail: Option<String>,
    /// Why it waits.
    pub waiting: Option<Waiting>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// The job it repeats.
    pub retry_of: Option<String>,
    /// Jobs that must have completed before.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Labels a worker must carry.
    #[serde(default)]
    pub requires: BTreeMap<String, String>,
    /// The agent's summary.
    pub summary: Option<String>,
    /// The agent's last message.
    pub output: Option<String>,
    /// Paths that were new.
    #[serde(default)]
    pub created_files: Vec<String>,
    /// Paths that changed.
    #[serde(default)]
    pub modified_files: Vec<String>,
    /// Paths that went.
    #[serde(default)]
    pub deleted_files: Vec<String>,
    /// What went wrong.
    #[serde(default)]
    pub errors: Vec<String>,
    /// The version it made.
    pub version: Option<u64>,
    /// Its tries.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was first claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Where its time went.
    #[serde(default)]
    pub timings: Timings,
}

/// What holds a job that waits.
#[derive(Clone, Debug, Deserialize)]
pub struct Waiting {
    /// The rule's word.
    pub rule: String,
    /// The same for people.
    pub message: String,
    /// Seconds until it goes on, where that is known.
    pub estimate_s: Option<i64>,
}

/// A schedule.
#[derive(Clone, Debug, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// Whose jobs it makes.
    pub project_id: String,
    /// For lists.
    pub name: String,
    /// When, as an expression.
    pub cron: String,
    /// Where the expression's clock hangs.
    pub time_zone: String,
    /// What becomes of missed firings.
    pub missed: String,
    /// Does nothing until resumed.
    pub paused: bool,
    /// The job it makes.
    pub job: serde_json::Value,
    /// Its next times.
    #[serde(default)]
    pub next: Vec<DateTime<Utc>>,
    /// The time it last made a job for.
    pub last_at: Option<DateTime<Utc>>,
    /// That job.
    pub last_job_id: Option<String>,
}

/// One try at a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    /// Which, from 1.
    pub number: u32,
    /// The worker's name.
    pub worker: String,
    /// How it was walled in.
    pub isolation: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What is known of its end.
    pub detail: Option<String>,
    /// The version it started from.
    pub base_version: Option<u64>,
    /// When it was claimed.
    pub started_at: Option<DateTime<Utc>>,
    /// When its agent started, where the server says so.
    pub agent_started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Seconds spent in each phase.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Timings {
    /// Until claimed.
    pub queue_s: Option<f64>,
    /// Creating the workspace.
    pub materialize_s: Option<f64>,
    /// Running the agent.
    pub run_s: Option<f64>,
    /// Storing the changes.
    pub push_s: Option<f64>,
}

/// A version without its files.
#[derive(Clone, Debug, Deserialize)]
pub struct Version {
    /// Its number.
    pub number: u64,
    /// Files and symlinks in it.
    pub file_count: u64,
    /// Bytes of its files.
    pub total_bytes: u64,
    /// What made it: `job`, `import`, ….
    pub author_kind: String,
    /// Which one.
    pub author_id: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The version that a restore or a fork copied.
    pub source_version: Option<u64>,
    /// The job that made it.
    pub job: Option<MadeBy>,
    /// How many files that job changed.
    pub changes: Option<ChangeCounts>,
}

/// What is told of the job that made a version.
#[derive(Clone, Debug, Deserialize)]
pub struct MadeBy {
    /// For lists.
    pub title: String,
}

/// Files by what became of them.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ChangeCounts {
    /// New.
    pub created: u64,
    /// Other than before.
    pub modified: u64,
    /// Gone.
    pub deleted: u64,
}

/// A page of what differs between two versions.
#[derive(Clone, Debug, Deserialize)]
pub struct Diff {
    /// In path order.
    pub files: Vec<FileDiff>,
    /// Where the next page starts.
    pub next_cursor: Option<String>,
}

/// How one file differs.
#[derive(Clone, Debug, Deserialize)]
pub struct FileDiff {
    /// Where it is, or was last.
    pub path: String,
    /// What became of it.
    pub change: String,
    /// Where a renamed file was.
    pub old_path: Option<String>,
    /// Lines that are new.
    pub additions: Option<u64>,
    /// Lines that are gone.
    pub deletions: Option<u64>,
    /// Why lines were not compared.
    pub omitted: Option<String>,
}

/// A key.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The part of it that is no secret.
    pub prefix: String,
    /// What it may.
    pub role: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that was just made.
#[derive(Clone, Deserialize)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub key: String,
}

/// Who asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Whoami {
    /// Whose things are seen.
    pub tenant: Named,
    /// What it is there for.
    pub role: String,
    /// What it may.
    pub scopes: Vec<String>,
    /// The key; none while no key exists.
    pub key: Option<WhoamiKey>,
    /// Who uses the key, or whom the token stands for.
    pub user: Option<WhoamiUser>,
    /// Who they are to the issuer of the token.
    pub identity: Option<Identity>,
}

/// Something with a name.
#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// The key that asks.
#[derive(Clone, Debug, Deserialize)]
pub struct WhoamiKey {
    /// What it is for.
    pub name: String,
    /// The part of it that is no secret.
    pub prefix: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The user whose key asks.
#[derive(Clone, Debug, Deserialize)]
pub struct WhoamiUser {
    /// Their name.
    pub name: String,
    /// Their address, where it is known.
    pub email: Option<String>,
}
