//! The finish: fence, version, attempt, job and lane hand-over in one transaction.

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{
    DatabaseError, again,
    report::{LogTail, Report, StoredTree},
};

const FINISH: &str = "SELECT dd_finish_v5($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer";
const FINISH_GROUP: &str = "SELECT answer FROM dd_finish_group_v3($1, $2, $3, $4, $5, $6, $7, $8, $9) ORDER BY place";
const OPERATION: &str = "finish attempts";

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

/// The answers a finish has.
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
    /// Objects of its tree were collected before anything named them; the job runs again.
    Gone,
}

/// Ends an attempt. Repeating the call is safe.
///
/// # Errors
/// The database does not answer: the finish may have happened, so ask again until one of the answers comes.
pub async fn finish(conn: &impl GenericClient, finish: &Finish) -> Result<Finished, DatabaseError> {
    let Columns { jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said } =
        Columns::of(&[finish])?;
    let parameters: [&(dyn ToSql + Sync); 9] = [
        &jobs[0],
        &attempts[0],
        &kinds[0],
        &reports[0],
        &trees[0],
        &tail_seqs[0],
        &tail_offsets[0],
        &tails[0],
        &said[0],
    ];
    answer(again::row(conn, OPERATION, FINISH, &parameters).await?.get("answer"))
}

/// Ends several attempts in one transaction; an answer each, in their order. `None`: somebody else holds its project or
/// the job, ask for it alone. Those with a tree are to go alone.
///
/// # Errors
/// As [`finish`]; what spoils one spoils all, so ask again for each alone.
pub async fn finish_group(
    conn: &impl GenericClient,
    group: &[&Finish],
) -> Result<Vec<Option<Finished>>, DatabaseError> {
    let columns = Columns::of(group)?;
    let rows = again::rows(conn, OPERATION, FINISH_GROUP, &columns.parameters()).await?;
    if rows.len() != group.len() {
        return Err(bad(format!("{} answers to {} finishes", rows.len(), group.len())));
    }
    rows.iter().map(|row| row.get::<_, Option<&str>>("answer").map(answer).transpose()).collect()
}

/// A group as the function takes it: an array for each part.
#[derive(Default)]
struct Columns<'f> {
    jobs: Vec<Uuid>,
    attempts: Vec<Uuid>,
    kinds: Vec<&'f str>,
    reports: Vec<Value>,
    trees: Vec<Option<Value>>,
    tail_seqs: Vec<Option<i32>>,
    tail_offsets: Vec<Option<i64>>,
    tails: Vec<Option<&'f [u8]>>,
    said: Vec<Value>,
}

impl<'f> Columns<'f> {
    fn of(group: &[&'f Finish]) -> Result<Self, DatabaseError> {
        let mut columns = Self::default();
        group.iter().try_for_each(|finish| columns.push(finish))?;
        Ok(columns)
    }

    fn push(&mut self, finish: &'f Finish) -> Result<(), DatabaseError> {
        let json = |error: serde_json::Error| bad(error.to_string());
        let tail = finish.tail.as_ref();
        self.jobs.push(finish.job.uuid());
        self.attempts.push(finish.attempt.uuid());
        self.kinds.push(finish.outcome.as_str());
        self.reports.push(told(&finish.report)?);
        self.trees.push(finish.tree.as_ref().map(serde_json::to_value).transpose().map_err(json)?);
        self.tail_seqs.push(tail.map(|tail| tail.seq));
        self.tail_offsets.push(tail.map(|tail| tail.offset));
        self.tails.push(tail.map(|tail| tail.data.as_slice()));
        self.said.push(without_nul(serde_json::to_value(&finish.progress).map_err(json)?));
        Ok(())
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 9] {
        let Self { jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said } = self;
        [jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said]
    }
}

/// A report as the functions take it.
pub(crate) fn told(report: &Report) -> Result<Value, DatabaseError> {
    serde_json::to_value(report).map(without_nul).map_err(|error| bad(error.to_string()))
}

/// What a finish's answer means.
pub(crate) fn answer(word: &str) -> Result<Finished, DatabaseError> {
    match word {
        "ok" => Ok(Finished::Ok),
        "already" => Ok(Finished::Already),
        "fenced" => Ok(Finished::Fenced),
        "conflict" => Ok(Finished::Conflict),
        "gone" => Ok(Finished::Gone),
        other => Err(bad(format!("unknown answer '{other}'"))),
    }
}

fn bad(reason: String) -> DatabaseError {
    DatabaseError::Row { operation: OPERATION, reason }
}

/// PostgreSQL's jsonb and text hold no U+0000 (manual, §8.14), but an agent may well say it.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nul).collect()),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, item)| (key.replace('\0', "\u{fffd}"), without_nul(item))).collect(),
        ),
        other => other,
    }
}
