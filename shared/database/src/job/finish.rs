//! The finish: fence, version, attempt, job and lane hand-over in one transaction.

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, Outcome};
use serde::{Deserialize, Serialize};

use crate::{
    DatabaseError, again,
    report::{LogTail, Report, StoredTree},
};

const FINISH: &str = "SELECT dd_finish_v2($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer";

/// How an attempt ended: all that its one transaction writes. It can be kept on disk until the database is back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finish {
    /// The job.
    pub job: JobId,
    /// The attempt, which is also the fencing token.
    pub attempt: AttemptId,
    /// How it ended.
    pub outcome: Outcome,
    /// What came of it.
    pub report: Report,
    /// The tree it leaves; `None` where nothing changed.
    pub tree: Option<StoredTree>,
    /// The rest of its log.
    pub tail: Option<LogTail>,
    /// Progress not yet told.
    pub progress: Vec<String>,
}

impl Finish {
    /// An attempt that leaves no tree and has its log written.
    pub const fn new(job: JobId, attempt: AttemptId, outcome: Outcome, report: Report) -> Self {
        Self { job, attempt, outcome, report, tree: None, tail: None, progress: Vec::new() }
    }
}

/// The four answers a finish has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Done as reported (or cancelled, where a cancel came first).
    Ok,
    /// An earlier call of ours had landed.
    Already,
    /// The attempt is not ours any more: drop everything, tell nobody.
    Fenced,
    /// The head moved; the job runs again on the new one.
    Conflict,
}

/// Ends an attempt. Repeating the call is safe.
///
/// # Errors
/// The database does not answer: the finish may have happened, so ask again until one of the four answers comes.
pub async fn finish(conn: &impl GenericClient, finish: &Finish) -> Result<Finished, DatabaseError> {
    const OPERATION: &str = "finish an attempt";
    let json = |error: serde_json::Error| DatabaseError::Row { operation: OPERATION, reason: error.to_string() };
    let report = without_nul(serde_json::to_value(&finish.report).map_err(json)?);
    let tree = finish.tree.as_ref().map(serde_json::to_value).transpose().map_err(json)?;
    let tail = finish.tail.as_ref();
    let progress: Vec<String> = finish.progress.iter().map(|text| text.replace('\0', "\u{fffd}")).collect();
    let row = again::row(
        conn,
        OPERATION,
        FINISH,
        &[
            &finish.job.uuid(),
            &finish.attempt.uuid(),
            &finish.outcome.as_str(),
            &report,
            &tree,
            &tail.map(|tail| tail.seq),
            &tail.map(|tail| tail.offset),
            &tail.map(|tail| tail.data.as_slice()),
            &progress,
        ],
    )
    .await?;
    match row.get::<_, &str>("answer") {
        "ok" => Ok(Finished::Ok),
        "already" => Ok(Finished::Already),
        "fenced" => Ok(Finished::Fenced),
        "conflict" => Ok(Finished::Conflict),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}

/// PostgreSQL's jsonb and text hold no U+0000 (manual, §8.14), but an agent may well say it.
fn without_nul(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nul).collect()),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, item)| (key.replace('\0', "\u{fffd}"), without_nul(item))).collect(),
        ),
        other => other,
    }
}
