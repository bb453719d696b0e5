//! The acceptance: the one statement after which a job is never lost.

use std::borrow::Borrow;

use chrono::{DateTime, TimeDelta, Utc};
use deadpool_postgres::GenericClient;
use drydock_domain::{Isolation, JobId, JobState, JobType, ProjectId, ScheduleId, TenantId};
use serde::{Serialize, Serializer};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::read::JobRow;
use crate::{DatabaseError, again, raw_json::RawJson};

/// With the audit records of those that are new, in the same transaction.
const ACCEPT: &str =
    "WITH answered AS MATERIALIZED (SELECT place, outcome, job_id, job_state, at, lacks FROM dd_accept_v3($1, $2)),
    noted AS (
      INSERT INTO audit_record (id, tenant_id, at, record)
      SELECT (n.record ->> 'id')::uuid, $1, (n.record ->> 'at')::timestamptz, n.record
        FROM (SELECT u.record::json FROM unnest($3::text[]) WITH ORDINALITY AS u (record, place)
                JOIN answered a USING (place) WHERE a.outcome = 'accepted' AND u.record IS NOT NULL) n
      ON CONFLICT (id) DO NOTHING)
  SELECT place, outcome, job_id, job_state, at, lacks FROM answered ORDER BY place";
const OPERATION: &str = "accept jobs";

/// A job to be accepted: an element of `dd_accept_v3`'s array.
#[derive(Clone, Debug, Serialize)]
pub struct NewJob {
    /// Its id, chosen by the caller.
    pub id: JobId,
    /// Whose workspace.
    #[serde(rename = "project_id")]
    pub project: ProjectId,
    /// What kind of work.
    pub job_type: JobType,
    /// For lists.
    pub title: String,
    /// What to do.
    pub instruction: String,
    /// The command line of a `command` job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The agent; the project's when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// 0 to 9, highest first.
    pub priority: i16,
    /// Its changes are discarded; it shares its project with a writer.
    pub read_only: bool,
    /// A failed attempt's files become a version.
    pub keep_on_error: bool,
    /// Repetitions after a failure of the agent.
    pub retries: i16,
    /// Longest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<i32>,
    /// Longest wait for a worker, from when it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_s: Option<i32>,
    /// Longest time without output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_timeout_s: Option<i32>,
    /// The least isolation accepted; never less than the project's.
    pub min_isolation: Isolation,
    /// Labels a worker must carry: an object of strings.
    pub requires: serde_json::Value,
    /// The user's labels: an object of strings.
    pub labels: serde_json::Value,
    /// Not before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    /// Jobs that must have completed before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<JobId>,
    /// The job this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// The schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    /// Makes a repeated request harmless.
    #[serde(flatten)]
    pub idempotency: Option<Idempotency>,
    /// Written with it, if it is new: the text of an audit record.
    #[serde(skip)]
    pub audit: Option<String>,
}

impl NewJob {
    /// A job that asks for nothing special.
    pub fn new(project: ProjectId, job_type: JobType, title: String, instruction: String) -> Self {
        Self {
            id: JobId::generate(),
            project,
            job_type,
            title,
            instruction,
            argv: None,
            agent: None,
            priority: 0,
            read_only: false,
            keep_on_error: false,
            retries: 0,
            timeout_s: None,
            queue_timeout_s: None,
            silence_timeout_s: None,
            min_isolation: Isolation::None,
            requires: json!({}),
            labels: json!({}),
            run_at: None,
            depends_on: Vec::new(),
            retry_of: None,
            schedule_id: None,
            idempotency: None,
            audit: None,
        }
    }

    /// What a schedule keeps of it: all but its id, its project, its key and what only a single job has.
    ///
    /// # Errors
    /// Its labels are no JSON.
    pub fn template(&self) -> Result<serde_json::Value, serde_json::Error> {
        const OWN: [&str; 8] =
            ["id", "project_id", "run_at", "depends_on", "retry_of", "schedule_id", "key", "fingerprint"];
        let mut template = serde_json::to_value(self)?;
        if let Some(fields) = template.as_object_mut() {
            fields.retain(|name, value| !OWN.contains(&name.as_str()) && !value.is_null());
        }
        Ok(template)
    }
}

/// The key of a request that may be repeated, and the hash of what it asks for.
#[derive(Clone, Debug, Serialize)]
pub struct Idempotency {
    /// 1 to 255 characters.
    pub key: String,
    /// BLAKE3 of the request.
    #[serde(serialize_with = "as_hex")]
    pub fingerprint: [u8; 32],
}

fn as_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    serializer.serialize_str(&text)
}

/// The answer to an acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Durable from now on.
    New(JobId),
    /// The same request was accepted before, as this job.
    Replayed(JobId),
    /// The key was used for another request.
    KeyReused,
    /// No such project of this tenant.
    NoProject,
    /// It depends on a job this tenant does not have.
    NoDependency,
    /// Its tenant has used up a quota: which, and how much of it is used.
    OverQuota(String),
}

/// Accepts jobs of one tenant in one transaction, each with its own answer, in the order given.
///
/// # Errors
/// The database does not answer: the jobs may have been accepted, all or none.
pub async fn accept_all(
    conn: &impl GenericClient,
    tenant: TenantId,
    jobs: &[impl Borrow<NewJob> + Serialize],
) -> Result<Vec<Accepted>, DatabaseError> {
    accepted_rows(conn, tenant, jobs).await?.iter().map(answer).collect()
}

/// Accepts one job.
///
/// # Errors
/// The database does not answer: the job may have been accepted.
pub async fn accept(conn: &impl GenericClient, tenant: TenantId, job: &NewJob) -> Result<Accepted, DatabaseError> {
    let answers = accept_all(conn, tenant, std::slice::from_ref(job)).await?;
    answers.into_iter().next().ok_or_else(|| unknown("none"))
}

/// Like [`accept_all`], with each new job as a read would show it: nothing is read for that.
///
/// # Errors
/// The database does not answer: the jobs may have been accepted, all or none.
pub async fn accept_and_show(
    conn: &impl GenericClient,
    tenant: TenantId,
    jobs: &[impl Borrow<NewJob> + Serialize],
) -> Result<Vec<(Accepted, Option<JobRow>)>, DatabaseError> {
    let rows = accepted_rows(conn, tenant, jobs).await?;
    let shown = jobs.iter().zip(&rows).map(|(job, row)| {
        let accepted = answer(row)?;
        let shown = matches!(accepted, Accepted::New(_)).then(|| show(job.borrow(), row)).transpose()?;
        Ok((accepted, shown))
    });
    shown.collect()
}

async fn accepted_rows(
    conn: &impl GenericClient,
    tenant: TenantId,
    jobs: &[impl Borrow<NewJob> + Serialize],
) -> Result<Vec<Row>, DatabaseError> {
    let asked = RawJson::of(&jobs, OPERATION)?;
    // Apart from the jobs, which the function walks many times.
    let records: Vec<Option<&str>> = jobs.iter().map(|job| job.borrow().audit.as_deref()).collect();
    let rows = again::rows(conn, OPERATION, ACCEPT, &[&tenant.uuid(), &asked, &records]).await?;
    if rows.len() == jobs.len() {
        Ok(rows)
    } else {
        Err(bad(format!("{} answers for {} jobs", rows.len(), jobs.len())))
    }
}

/// What was accepted, with what the database added to it.
fn show(job: &NewJob, row: &Row) -> Result<JobRow, DatabaseError> {
    let state: JobState = row.get::<_, &str>("job_state").parse().map_err(|error| bad(format!("{error}")))?;
    let created_at: DateTime<Utc> = row.get("at");
    // The function orders what arrives together by microseconds after its own time.
    let began = created_at - TimeDelta::microseconds(row.get::<_, i32>("place").into());
    Ok(JobRow {
        id: job.id,
        project_id: job.project,
        job_type: job.job_type,
        title: job.title.clone(),
        instruction: job.instruction.clone(),
        state,
        detail: state.as_str().to_owned(),
        depends_on: job.depends_on.clone(),
        requires: job.requires.clone(),
        queue_timeout_s: job.queue_timeout_s,
        silence_timeout_s: job.silence_timeout_s,
        retry_of: job.retry_of,
        schedule_id: job.schedule_id,
        batch_id: None,
        batch_line: None,
        retried_by: None,
        cancel_reason: None,
        failure_kind: None,
        summary: None,
        output: None,
        created_files: Vec::new(),
        modified_files: Vec::new(),
        deleted_files: Vec::new(),
        errors: Vec::new(),
        version: None,
        preview_url: None,
        created_at,
        updated_at: began,
        queued_at: if state == JobState::Queued { began } else { created_at },
        started_at: None,
        finished_at: None,
        attempts: Vec::new(),
    })
}

fn answer(row: &Row) -> Result<Accepted, DatabaseError> {
    let id: Option<Uuid> = row.get("job_id");
    match (row.get::<_, &str>("outcome"), id) {
        ("accepted", Some(id)) => Ok(Accepted::New(id.into())),
        ("replayed", Some(id)) => Ok(Accepted::Replayed(id.into())),
        ("key_reused", _) => Ok(Accepted::KeyReused),
        ("no_project", _) => Ok(Accepted::NoProject),
        ("no_dependency", _) => Ok(Accepted::NoDependency),
        ("over_quota", _) => Ok(Accepted::OverQuota(row.get("lacks"))),
        (other, _) => Err(unknown(other)),
    }
}

fn unknown(outcome: &str) -> DatabaseError {
    bad(format!("unknown outcome '{outcome}'"))
}

fn bad(reason: String) -> DatabaseError {
    DatabaseError::Row { operation: OPERATION, reason }
}
