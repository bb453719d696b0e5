//! Makes a step against the database, through the calls the services use, and tells its answer in labels.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
    time::Duration,
};

use chrono::{DateTime, Utc};
use drydock_database::{
    Client, DatabaseError, attempt,
    job::{self, Accepted, Canceled, Claimed, Finish, Finished, Idempotency, NewJob, Term},
    leader, log_chunk, project,
    report::Report,
    worker::{self, NewWorker},
};
use drydock_domain::{JobType, Outcome, Ticket};
use serde_json::json;
use uuid::Uuid;

use super::{
    model::{Answer, World, attempt as told},
    op::{Ask, FAR, GRACE, Kind, Label, Op, RunAt, Start, UNCLAIMED, id},
};
use crate::support::{announce, tree};

type Answered = Result<Answer, DatabaseError>;

static NAMES: LazyLock<HashMap<Uuid, Label>> = LazyLock::new(|| {
    [Kind::Job, Kind::Attempt].iter().flat_map(|kind| (0..4000).map(|label| (id(*kind, label), label))).collect()
});

/// The label of a job or attempt.
pub(crate) fn label(uuid: Uuid) -> Label {
    NAMES.get(&uuid).copied().unwrap_or(Label::MAX)
}

const TTL: Duration = Duration::from_secs(FAR.unsigned_abs());
const GRACE_PERIOD: Duration = Duration::from_secs(GRACE.unsigned_abs());

/// `now` is the time that steps with a time of their own count from.
pub(crate) async fn make(client: &Client, world: &World, op: &Op, now: DateTime<Utc>) -> Answered {
    match op {
        Op::Accept { tenant, jobs } => accept(client, *tenant, jobs, now).await,
        Op::EndWaits { batch } => {
            let moved = job::end_waits(client, *batch).await?;
            Ok(Answer::Moved([moved.due, moved.ready, moved.depend, moved.expired]))
        }
        Op::Admit { lookahead, batch, stale } => {
            let admitted = job::admit(client, term(world, *stale), *lookahead, *batch, &[]).await?;
            Ok(tickets(&admitted.into_iter().map(|dispatch| dispatch.ticket).collect::<Vec<_>>()))
        }
        Op::Redispatch { named, batch, stale } => {
            let named: Vec<_> = named.iter().map(|job| id(Kind::Job, *job).into()).collect();
            let unclaimed = Duration::from_secs(UNCLAIMED.unsigned_abs());
            Ok(tickets(&job::redispatch(client, term(world, *stale), &named, unclaimed, *batch).await?))
        }
        Op::Return { job, older, pause } => {
            let pause = if *pause { TTL } else { Duration::ZERO };
            Ok(Answer::Flag(job::return_ticket(client, &ticket(world, *job, *older), pause).await?))
        }
        Op::Pull { worker, most } => Ok(tickets(&job::pull(client, id(Kind::Worker, *worker).into(), *most).await?)),
        Op::Claim { job, older, attempt, worker } => {
            claim(client, &ticket(world, *job, *older), *attempt, *worker).await
        }
        Op::Renew { worker, told } => {
            let running: Vec<_> =
                told.iter().map(|(label, phase)| (id(Kind::Attempt, *label).into(), *phase)).collect();
            let renewed = worker::renew(client, id(Kind::Worker, *worker).into(), TTL, &running).await?;
            let owned: BTreeMap<Label, bool> =
                renewed.owned.iter().map(|(attempt, cancel)| (label(attempt.uuid()), *cancel)).collect();
            Ok(Answer::Owned((renewed.live || !owned.is_empty()).then_some(owned)))
        }
        Op::Finish { job, attempt, outcome, tree } => finish(client, *job, *attempt, *outcome, *tree).await,
        Op::Cancel { tenant, job } => {
            let reason = format!("reason {job}");
            let answer =
                job::cancel(client, id(Kind::Tenant, *tenant).into(), id(Kind::Job, *job).into(), Some(&reason))
                    .await?;
            Ok(word(match answer {
                Canceled::Now => "canceled",
                Canceled::Soon => "cancelling",
                Canceled::Final => "final",
                Canceled::NoJob => "no_job",
            }))
        }
        Op::Reap { attempt } => {
            Ok(Answer::Word(attempt::reap(client, id(Kind::Attempt, *attempt).into(), GRACE_PERIOD).await?))
        }
        Op::Lead { holder } => Ok(Answer::Term(leader::lead(client, id(Kind::Holder, *holder), TTL).await?)),
        Op::EndExpired => Ok(Answer::Count(worker::end_expired(client, GRACE_PERIOD).await?)),
        other => change(client, world, other, now).await.map(|()| Answer::Nothing),
    }
}

async fn accept(client: &Client, tenant: Label, jobs: &[Ask], now: DateTime<Utc>) -> Answered {
    let jobs: Vec<NewJob> = jobs.iter().map(|ask| new_job(ask, now)).collect();
    let answers = job::accept_all(client, id(Kind::Tenant, tenant).into(), &jobs).await?;
    let answers = answers.into_iter().map(|answer| match answer {
        Accepted::New(job) => ("accepted", Some(label(job.uuid()))),
        Accepted::Replayed(job) => ("replayed", Some(label(job.uuid()))),
        Accepted::KeyReused => ("key_reused", None),
        Accepted::NoProject => ("no_project", None),
        Accepted::NoDependency => ("no_dependency", None),
        Accepted::OverQuota(_) => ("over_quota", None),
    });
    Ok(Answer::Accepted(answers.collect()))
}

async fn claim(client: &Client, ticket: &Ticket, attempt: Label, worker: Label) -> Answered {
    let (attempt, worker) = (id(Kind::Attempt, attempt).into(), id(Kind::Worker, worker).into());
    Ok(match job::claim(client, ticket, attempt, worker, "/scratch/x").await? {
        Claimed::Mine(claim) => {
            Answer::Claimed(claim.number, claim.base_version, claim.base.as_ref().map(|base| base.manifest[0]))
        }
        Claimed::Stale => word("stale"),
        Claimed::Refused => word("refused"),
        Claimed::Unsuited => word("unsuited"),
    })
}

async fn finish(client: &Client, job: Label, attempt: Label, outcome: Outcome, with_tree: bool) -> Answered {
    let report = Report {
        detail: Some(told::detail(attempt)),
        summary: Some(told::summary(attempt)),
        errors: vec![format!("error of attempt {attempt}")],
        ..Report::default()
    };
    let tree = with_tree.then(|| tree(told::tree_byte(attempt)));
    let (job, attempt) = (id(Kind::Job, job).into(), id(Kind::Attempt, attempt).into());
    if let Some(tree) = &tree {
        announce(client, job, tree).await;
    }
    let finish = Finish { tree, ..Finish::new(job, attempt, outcome, report) };
    Ok(word(match job::finish(client, &finish).await? {
        Finished::Ok => "ok",
        Finished::Already => "already",
        Finished::Fenced => "fenced",
        Finished::Conflict => "conflict",
        Finished::Gone => "gone",
    }))
}

pub(crate) fn new_job(ask: &Ask, now: DateTime<Utc>) -> NewJob {
    let job_type = if ask.command { JobType::Command } else { JobType::Edit };
    let far = chrono::Duration::seconds(FAR);
    let run_at = ask.run_at.map(|run_at| if run_at == RunAt::Future { now + far } else { now - far });
    NewJob {
        id: id(Kind::Job, ask.job).into(),
        argv: ask.command.then(|| vec!["true".to_owned()]),
        agent: ask.agent.map(str::to_owned),
        priority: ask.priority,
        read_only: ask.read_only,
        keep_on_error: ask.keep_on_error,
        retries: ask.retries,
        queue_timeout_s: ask.queue_timeout.then(|| i32::try_from(FAR).unwrap()),
        min_isolation: ask.isolation,
        requires: if ask.gpu { json!({"gpu": "yes"}) } else { json!({}) },
        run_at,
        depends_on: ask.needs.iter().map(|need| id(Kind::Job, *need).into()).collect(),
        idempotency: ask.key.map(|(key, body)| Idempotency { key: format!("key {key}"), fingerprint: [body; 32] }),
        ..NewJob::new(id(Kind::Project, ask.project).into(), job_type, "t".to_owned(), "do it".to_owned())
    }
}

/// Steps that no service makes: things begin, end, and time passes.
async fn change(client: &Client, world: &World, op: &Op, now: DateTime<Utc>) -> Result<(), DatabaseError> {
    let ago = |seconds: i64| now - chrono::Duration::seconds(seconds);
    let failed = DatabaseError::query("arrange a test");
    match op {
        Op::Tenant { tenant, weight, cap } => {
            let sql = "INSERT INTO tenant (id, name, weight, max_running) VALUES ($1, $2, $3, $4)";
            let name = format!("tenant {tenant}");
            client.execute(sql, &[&id(Kind::Tenant, *tenant), &name, weight, cap]).await.map_err(failed)?;
        }
        Op::Project { project, tenant, pool, agent, isolation } => {
            let new = project::NewProject {
                id: id(Kind::Project, *project).into(),
                tenant: id(Kind::Tenant, *tenant).into(),
                instruction: "make something".to_owned(),
                agent: (*agent).to_owned(),
                pool: (*pool).to_owned(),
                labels: json!({}),
                min_isolation: *isolation,
            };
            project::create(client, &new).await?;
        }
        Op::Import { project } => import(client, *project).await.map_err(failed)?,
        Op::Delete { project } => {
            let sql = "UPDATE project SET deleted_at = now() WHERE id = $1";
            client.execute(sql, &[&id(Kind::Project, *project)]).await.map_err(failed)?;
        }
        Op::Resign { holder } => leader::resign(client, id(Kind::Holder, *holder)).await?,
        Op::ExpireLead => {
            client.execute("UPDATE leader SET expires_at = now() - interval '1 s'", &[]).await.map_err(failed)?;
        }
        Op::Start(start) => worker::start(client, &describe(start), TTL).await?,
        Op::Drain { worker } => worker::drain(client, id(Kind::Worker, *worker).into()).await?,
        Op::End { worker } => worker::end(client, id(Kind::Worker, *worker).into()).await?,
        Op::Overdue { worker, by } => {
            let sql = "UPDATE worker SET lease_until = $2 WHERE id = $1";
            client.execute(sql, &[&id(Kind::Worker, *worker), &ago(*by)]).await.map_err(failed)?;
        }
        Op::Due { job } => set_time(client, "run_at", *job, ago(1)).await.map_err(failed)?,
        Op::Expire { job } => set_time(client, "expires_at", *job, ago(1)).await.map_err(failed)?,
        Op::Unclaimed { job, periods } => {
            let at = ago(periods * UNCLAIMED + UNCLAIMED / 2);
            set_time(client, "dispatched_at", *job, at).await.map_err(failed)?;
        }
        Op::Log { attempt, text } => {
            let body = log_chunk::Body::Inline(text.as_bytes());
            log_chunk::append(client, id(Kind::Attempt, *attempt).into(), 0, 0, body).await?;
        }
        other => unreachable!("{other:?} has an answer, in a world of {} jobs", world.jobs.len()),
    }
    Ok(())
}

async fn set_time(client: &Client, column: &str, job: Label, at: DateTime<Utc>) -> Result<(), tokio_postgres::Error> {
    let sql = format!("UPDATE job SET {column} = $2 WHERE id = $1");
    client.execute(&sql, &[&id(Kind::Job, job), &at]).await?;
    Ok(())
}

async fn import(client: &Client, project: Label) -> Result<(), tokio_postgres::Error> {
    let sql = "WITH p AS (UPDATE project SET head_version = head_version + 1 WHERE id = $1 RETURNING id, head_version)
      INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
      SELECT id, head_version, head_version - 1, $2, $2, '{}', 0, 0, 'user', id FROM p";
    client.execute(sql, &[&id(Kind::Project, project), &vec![0_u8; 32]]).await?;
    Ok(())
}

fn describe(start: &Start) -> NewWorker {
    NewWorker {
        id: id(Kind::Worker, start.worker).into(),
        instance: told::instance(start.instance),
        pool: start.pool.to_owned(),
        slots: start.slots,
        session_slots: 1,
        agents: start.agents.iter().map(|agent| (*agent).to_owned()).collect(),
        labels: if start.gpu { json!({"gpu": "yes", "zone": "z"}) } else { json!({"zone": "z"}) },
        isolation: start.isolation,
        rung: "copy".to_owned(),
        refused_rungs: serde_json::json!({}),
        build: "test".to_owned(),
    }
}

fn term(world: &World, stale: bool) -> Term {
    let (holder, number) = world.lead.map_or((0, 0), |lead| (lead.holder, lead.term));
    Term { holder: id(Kind::Holder, holder), number: number - i64::from(stale) }
}

fn ticket(world: &World, job: Label, older: i32) -> Ticket {
    let seq = world.jobs.get(&job).map_or(1, |job| job.seq);
    Ticket::new(id(Kind::Job, job).into(), seq - older, String::new(), 0)
}

fn tickets(tickets: &[Ticket]) -> Answer {
    let by_job =
        tickets.iter().map(|ticket| (label(ticket.job.uuid()), (ticket.seq, ticket.pool.clone(), ticket.priority)));
    Answer::Tickets(by_job.collect())
}

fn word(word: &str) -> Answer {
    Answer::Word(word.to_owned())
}
