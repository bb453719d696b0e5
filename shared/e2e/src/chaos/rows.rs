//! What the database holds at the end.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::history::{Attempt, Job, Version};

/// Jobs of the clients that are not over.
const OPEN: &str = "SELECT count(*) FROM job WHERE state NOT IN ('succeeded', 'failed', 'dead', 'canceled')";
const JOBS: &str = "SELECT id, project_id, job_type = 'command' AS ours, read_only, state::text AS state, version
  FROM job ORDER BY created_at, id";
const ATTEMPTS: &str =
    "SELECT a.id, a.job_id, a.number, w.instance, a.state::text AS state, a.started_at, a.finished_at
  FROM attempt a JOIN worker w ON w.id = a.worker_id ORDER BY a.started_at, a.id";
const VERSIONS: &str =
    "SELECT project_id, number, parent, CASE author_kind WHEN 'job' THEN author_id END AS job, attempt_id
  FROM version ORDER BY project_id, number";
const HEADS: &str = "SELECT id, head_version FROM project";
/// What people look at first, whole.
const STORY: &str = "SELECT to_jsonb(j) || jsonb_build_object('tries', (
    SELECT jsonb_agg(to_jsonb(a) - 'request' - 'result' ORDER BY a.number) FROM attempt a WHERE a.job_id = j.id))
  FROM job j ORDER BY j.created_at, j.id";

/// All rows the checker looks at.
pub(crate) struct Rows {
    /// Jobs by arrival.
    pub(crate) jobs: Vec<Job>,
    /// Attempts by start.
    pub(crate) attempts: Vec<Attempt>,
    /// Versions by project and number.
    pub(crate) versions: Vec<Version>,
    /// Head versions.
    pub(crate) heads: BTreeMap<Uuid, i32>,
}

/// How many jobs are not over.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn open_jobs(client: &Client) -> Result<i64> {
    Ok(client.query_one(OPEN, &[]).await.context("count open jobs")?.get(0))
}

/// Reads all rows.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn read(client: &Client) -> Result<Rows> {
    let all = |text: &'static str| async move { client.query(text, &[]).await.context("read rows") };
    Ok(Rows {
        jobs: all(JOBS).await?.iter().map(job).collect(),
        attempts: all(ATTEMPTS).await?.iter().map(attempt).collect(),
        versions: all(VERSIONS).await?.iter().map(version).collect(),
        heads: all(HEADS).await?.iter().map(|row| (row.get(0), row.get(1))).collect(),
    })
}

/// Every job with its attempts, as one JSON document a line.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn story(client: &Client) -> Result<String> {
    let rows = client.query(STORY, &[]).await.context("read the jobs' stories")?;
    Ok(rows.iter().map(|row| format!("{}\n", row.get::<_, serde_json::Value>(0))).collect())
}

fn job(row: &Row) -> Job {
    Job {
        id: row.get("id"),
        project: row.get("project_id"),
        ours: row.get("ours"),
        read_only: row.get("read_only"),
        state: row.get("state"),
        version: row.get("version"),
    }
}

fn attempt(row: &Row) -> Attempt {
    let instance: String = row.get("instance");
    Attempt {
        id: row.get("id"),
        job: row.get("job_id"),
        number: row.get("number"),
        // Host and scratch directory, whose last part is the process's name here.
        worker: instance.rsplit('/').next().unwrap_or_default().to_owned(),
        state: row.get("state"),
        started: row.get("started_at"),
        finished: row.get("finished_at"),
    }
}

fn version(row: &Row) -> Version {
    Version {
        project: row.get("project_id"),
        number: row.get("number"),
        parent: row.get("parent"),
        job: row.get("job"),
        attempt: row.get("attempt_id"),
    }
}
