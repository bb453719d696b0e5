//! Compares every row with the model, and takes over the times the database chose, where they lie within bounds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drydock_database::Client;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    driver::label,
    model::{Job, Told, When, World, attempt::instance},
    op::{Kind, Label, id},
};

const JOBS: &str = "SELECT id, tenant_id, project_id, pool, agent, priority, min_isolation::text, state::text, dispatch_seq, redispatches,
  current_attempt, ARRAY[attempts, failures, infra_faults, conflicts, losses] AS counts, unmet, backing_off, failure_kind, version,
  summary, output, errors, cancel_reason, created_at, run_at, queued_at, dispatched_at, started_at, finished_at, cancel_at, expires_at
  FROM job";
const ATTEMPTS: &str = "SELECT id, job_id, number, worker_id, state::text, phase::text, base_version, detail,
  get_byte(manifest_id, 0) AS tree, finished_at IS NOT NULL AS finished FROM attempt";
const VERSIONS: &str = "SELECT p.id, p.head_version, coalesce(array_agg(get_byte(v.manifest_id, 0) ORDER BY v.number)
  FILTER (WHERE v.number IS NOT NULL), '{}') AS trees, coalesce(array_agg(v.attempt_id ORDER BY v.number)
  FILTER (WHERE v.number IS NOT NULL), '{}') AS attempts FROM project p LEFT JOIN version v ON v.project_id = p.id GROUP BY p.id";
const EDGES: &str = "SELECT job_id, on_job, ended::text FROM job_dependency";
const WORKERS: &str = "SELECT id, instance, draining, ended_at IS NOT NULL AS ended, lease_until FROM worker";
const KEYS: &str = "SELECT tenant_id, key, resource_id FROM idempotency";
const LEAD: &str = "SELECT holder, term, expires_at < clock_timestamp() AS expired FROM leader";
const EVENTS: &str = "SELECT id, job_id, data ->> 'status' AS status, data ->> 'status_detail' AS detail, (data ->> 'attempt')::bigint AS attempt
  FROM event WHERE id > $1 AND kind = 'status' ORDER BY id";

/// Every row of the tables the protocol writes.
pub(crate) struct Rows {
    jobs: Vec<Row>,
    attempts: Vec<Row>,
    versions: Vec<Row>,
    edges: Vec<Row>,
    workers: Vec<Row>,
    keys: Vec<Row>,
    lead: Vec<Row>,
    events: Vec<Row>,
}

impl Rows {
    /// All of them, in one round trip.
    pub(crate) async fn read(client: &Client, after_event: i64) -> Result<Self, tokio_postgres::Error> {
        let query = |sql: &'static str| async move {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, &[]).await
        };
        let events = async {
            let statement = client.prepare_cached(EVENTS).await?;
            client.query(&statement, &[&after_event]).await
        };
        let first = futures_util::try_join!(query(JOBS), query(ATTEMPTS), query(VERSIONS), query(EDGES));
        let second = futures_util::try_join!(query(WORKERS), query(KEYS), query(LEAD), events);
        let ((jobs, attempts, versions, edges), (workers, keys, lead, events)) = (first?, second?);
        Ok(Self { jobs, attempts, versions, edges, workers, keys, lead, events })
    }

    pub(crate) fn last_event(&self) -> Option<i64> {
        self.events.last().map(|row| row.get("id"))
    }
}

/// The bounds of the call that was made.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
}

/// What differs; nothing when the rows are as the model says.
pub(crate) fn differences(world: &mut World, rows: &Rows, span: Span) -> Vec<String> {
    let mut found = Vec::new();
    compare("job", &mut found, jobs_of(world), rows.jobs.iter().map(|row| (row.get("id"), job_row(row))));
    for row in &rows.jobs {
        if let Some(job) = world.jobs.get_mut(&label(row.get("id"))) {
            times(job, row, span, &mut found);
        }
    }
    compare(
        "attempt",
        &mut found,
        attempts_of(world),
        rows.attempts.iter().map(|row| (row.get("id"), attempt_row(row))),
    );
    compare(
        "project",
        &mut found,
        versions_of(world),
        rows.versions.iter().map(|row| (row.get("id"), version_row(row))),
    );
    compare(
        "edge",
        &mut found,
        edges_of(world),
        rows.edges.iter().map(|row| ((row.get("job_id"), row.get("on_job")), row.get::<_, Option<String>>("ended"))),
    );
    compare(
        "worker",
        &mut found,
        workers_of(world),
        rows.workers.iter().map(|row| {
            (
                row.get("id"),
                (row.get::<_, String>("instance"), row.get::<_, bool>("draining"), row.get::<_, bool>("ended")),
            )
        }),
    );
    for row in &rows.workers {
        let worker = world.workers.iter_mut().find(|(label, _)| id(Kind::Worker, **label) == row.get::<_, Uuid>("id"));
        if let Some((label, worker)) = worker {
            time(&mut worker.lease, row, "lease_until", span, &format!("worker {label}"), &mut found);
        }
    }
    compare(
        "key",
        &mut found,
        keys_of(world),
        rows.keys
            .iter()
            .map(|row| ((row.get("tenant_id"), row.get::<_, String>("key")), row.get::<_, Uuid>("resource_id"))),
    );
    let lead = world.lead.map(|lead| (id(Kind::Holder, lead.holder), (lead.term, lead.expired)));
    compare(
        "lead",
        &mut found,
        lead.into_iter(),
        rows.lead.iter().map(|row| (row.get("holder"), (row.get::<_, i64>("term"), row.get::<_, bool>("expired")))),
    );
    events(world, rows, &mut found);
    found
}

fn compare<K, V>(
    what: &str,
    found: &mut Vec<String>,
    expected: impl Iterator<Item = (K, V)>,
    actual: impl Iterator<Item = (K, V)>,
) where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    let mut expected: BTreeMap<K, V> = expected.collect();
    for (key, actual) in actual {
        match expected.remove(&key) {
            Some(expected) if expected == actual => {}
            expected => found.push(format!("{what} {key:?}\n    is    {actual:?}\n    model {expected:?}")),
        }
    }
    found.extend(expected.iter().map(|(key, expected)| format!("{what} {key:?} is missing, model {expected:?}")));
}

fn time(when: &mut When, row: &Row, column: &str, span: Span, whose: &str, found: &mut Vec<String>) {
    /// The two clocks are one, read by two processes.
    const SLACK: f64 = 0.005;
    let actual: Option<DateTime<Utc>> = row.get(column);
    let right = match (*when, actual) {
        (When::Never, None) => true,
        (When::At(at), Some(actual)) => at == actual,
        (When::Fresh { from, to }, Some(actual)) => {
            let since = |start: DateTime<Utc>| (actual - start).as_seconds_f64();
            since(span.from) >= from - SLACK && since(span.to) <= to + SLACK
        }
        _ => false,
    };
    if !right {
        found.push(format!(
            "{column} of {whose} is {actual:?}, model {when:?} (call from {} to {})",
            span.from, span.to
        ));
    }
    *when = actual.map_or(When::Never, When::At);
}

fn times(job: &mut Job, row: &Row, span: Span, found: &mut Vec<String>) {
    let whose = format!("job {}", label(row.get("id")));
    for (when, column) in [
        (&mut job.created, "created_at"),
        (&mut job.run_at, "run_at"),
        (&mut job.queued, "queued_at"),
        (&mut job.dispatched, "dispatched_at"),
        (&mut job.started, "started_at"),
        (&mut job.finished, "finished_at"),
        (&mut job.cancel, "cancel_at"),
        (&mut job.expires, "expires_at"),
    ] {
        time(when, row, column, span, &whose, found);
    }
}

#[derive(Debug, PartialEq)]
struct JobView {
    label: Label,
    asked: (Uuid, Uuid, String, String, i16, String),
    state: String,
    seq: (i32, i16),
    current: Option<Label>,
    counts: Vec<i16>,
    unmet: i32,
    backing_off: bool,
    failure_kind: Option<String>,
    version: Option<i32>,
    said: (Option<String>, Option<String>, Vec<String>, Option<String>),
}

fn jobs_of(world: &World) -> impl Iterator<Item = (Uuid, JobView)> {
    world.jobs.iter().map(|(label, job)| {
        let view = JobView {
            label: *label,
            asked: (
                id(Kind::Tenant, job.tenant),
                id(Kind::Project, job.project),
                job.pool.to_owned(),
                job.agent.to_owned(),
                job.priority,
                job.isolation.as_str().to_owned(),
            ),
            state: job.state.as_str().to_owned(),
            seq: (job.seq, job.redispatches),
            current: job.current,
            counts: vec![job.attempts, job.failures, job.infra, job.conflicts, job.losses],
            unmet: job.unmet,
            backing_off: job.backing_off,
            failure_kind: job.failure_kind.map(str::to_owned),
            version: job.version,
            said: (job.summary.clone(), job.output.clone(), job.errors.clone(), job.cancel_reason.clone()),
        };
        (id(Kind::Job, *label), view)
    })
}

fn job_row(row: &Row) -> JobView {
    JobView {
        label: label(row.get("id")),
        asked: (
            row.get("tenant_id"),
            row.get("project_id"),
            row.get("pool"),
            row.get("agent"),
            row.get("priority"),
            row.get("min_isolation"),
        ),
        state: row.get("state"),
        seq: (row.get("dispatch_seq"), row.get("redispatches")),
        current: row.get::<_, Option<Uuid>>("current_attempt").map(label),
        counts: row.get("counts"),
        unmet: row.get("unmet"),
        backing_off: row.get("backing_off"),
        failure_kind: row.get("failure_kind"),
        version: row.get("version"),
        said: (row.get("summary"), row.get("output"), row.get("errors"), row.get("cancel_reason")),
    }
}

type AttemptView = (Label, Label, i16, Uuid, String, Option<String>, i32, Option<String>, Option<i32>, bool);

fn attempts_of(world: &World) -> impl Iterator<Item = (Uuid, AttemptView)> {
    world.attempts.iter().map(|(label, attempt)| {
        let state = attempt.outcome.map_or("running", drydock_domain::Outcome::as_str).to_owned();
        let view = (
            *label,
            attempt.job,
            attempt.number,
            id(Kind::Worker, attempt.worker),
            state,
            Some(attempt.phase.as_str().to_owned()),
            attempt.base,
            attempt.detail.clone(),
            attempt.tree.map(i32::from),
            attempt.outcome.is_some(),
        );
        (id(Kind::Attempt, *label), view)
    })
}

fn attempt_row(row: &Row) -> AttemptView {
    (
        label(row.get("id")),
        label(row.get("job_id")),
        row.get("number"),
        row.get("worker_id"),
        row.get("state"),
        row.get("phase"),
        row.get("base_version"),
        row.get("detail"),
        row.get("tree"),
        row.get("finished"),
    )
}

type VersionView = (i32, Vec<i32>, Vec<Option<Label>>);

fn versions_of(world: &World) -> impl Iterator<Item = (Uuid, VersionView)> {
    world.projects.iter().map(|(label, project)| {
        let trees = project.versions.iter().map(|(byte, _)| i32::from(*byte)).collect();
        let attempts = project.versions.iter().map(|(_, attempt)| *attempt).collect();
        (id(Kind::Project, *label), (project.head(), trees, attempts))
    })
}

fn version_row(row: &Row) -> VersionView {
    let attempts: Vec<Option<Uuid>> = row.get("attempts");
    (row.get("head_version"), row.get("trees"), attempts.into_iter().map(|attempt| attempt.map(label)).collect())
}

fn edges_of(world: &World) -> impl Iterator<Item = ((Uuid, Uuid), Option<String>)> {
    world.edges.iter().map(|((job, on), ended)| {
        ((id(Kind::Job, *job), id(Kind::Job, *on)), ended.map(|state| state.as_str().to_owned()))
    })
}

fn workers_of(world: &World) -> impl Iterator<Item = (Uuid, (String, bool, bool))> {
    world
        .workers
        .iter()
        .map(|(label, worker)| (id(Kind::Worker, *label), (instance(worker.instance), worker.draining, worker.ended)))
}

fn keys_of(world: &World) -> impl Iterator<Item = ((Uuid, String), Uuid)> {
    world
        .keys
        .iter()
        .map(|((tenant, key), (_, job))| ((id(Kind::Tenant, *tenant), format!("key {key}")), id(Kind::Job, *job)))
}

fn events(world: &World, rows: &Rows, found: &mut Vec<String>) {
    let by_job = |told: Vec<Told>| {
        let mut of: BTreeMap<Label, Vec<(String, String, i64)>> = BTreeMap::new();
        for (job, status, detail, attempt) in told {
            of.entry(job).or_default().push((status, detail, attempt));
        }
        of
    };
    let actual = rows
        .events
        .iter()
        .map(|row| (label(row.get("job_id")), row.get("status"), row.get("detail"), row.get("attempt")))
        .collect();
    compare("events of job", found, by_job(world.told.clone()).into_iter(), by_job(actual).into_iter());
}
