//! Many clients at once: the same work as ever, in no order. What each is told must fit together, no lock may wait in a circle,
//! and in the end everything is over, once. `DRYDOCK_STRESS_S=n` runs longer, `DRYDOCK_RACES=n` repeats each race more often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use drydock_database::{
    Client, Database, attempt,
    job::{self, Canceled, Claimed, Finished, NewJob},
    worker,
};
use drydock_domain::{AttemptId, JobId, JobType, Outcome, ProjectId, TenantId, Ticket, WorkerId};
use drydock_testing::violations;

use crate::{
    faults::success,
    support::{Fleet, TTL, announce, describe, report, tree},
};

const NONE: [String; 0] = [];

#[expect(clippy::disallowed_methods, reason = "how much to test is asked of whoever runs it")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

async fn deadlocks(client: &Client) -> i64 {
    // The counts of other sessions arrive when they report, at most a second later or when they end.
    client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// T-06: red when the claim does not look at the state under the lock.
#[tokio::test]
async fn t06_tickets_delivered_many_times_at_once_make_one_attempt_each() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.client.batch_execute("UPDATE worker SET slots = 100").await.unwrap();
    for _ in 0..40 {
        fleet.another_project(&database).await.plain().await;
    }
    let tickets = fleet.admit().await;
    assert_eq!(tickets.len(), 40);
    let mut tasks = tokio::task::JoinSet::new();
    for consumer in 0..5 {
        let (database, worker, mut tickets) = (database.clone(), fleet.worker, tickets.clone());
        tickets.rotate_left(consumer);
        tasks.spawn(async move {
            let client = database.client().await.unwrap();
            let mut mine = 0;
            for ticket in tickets {
                let answer = job::claim(&client, &ticket, AttemptId::generate(), worker, "/x").await.unwrap();
                assert!(matches!(answer, Claimed::Mine(_) | Claimed::Stale), "{answer:?}");
                mine += usize::from(matches!(answer, Claimed::Mine(_)));
            }
            mine
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 40);
    assert_eq!(violations(&fleet.client).await, NONE);
}

/// T-37, the commit instant: red when finish does not look at `cancel_at`, or cancel not at the state.
#[tokio::test]
async fn t37_cancel_races_with_dispatch_claim_and_finish_and_each_job_ends_once() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.client.batch_execute("UPDATE worker SET slots = 100").await.unwrap();
    let other = database.client().await.unwrap();
    let (mut cancelled, mut succeeded) = (0, 0);
    for _ in 0..number("DRYDOCK_RACES", 150) {
        let job = fleet.plain().await;
        let (_, attempt) = fleet.running().await;
        announce(&fleet.client, job, &tree(1)).await;
        let finish = success(job, attempt);
        let (finished, canceled) =
            tokio::join!(job::finish(&fleet.client, &finish), job::cancel(&other, TenantId::DEFAULT, job, None));
        match (finished.unwrap(), canceled.unwrap(), fleet.state(job).await.as_str()) {
            (Finished::Ok, Canceled::Soon, "canceled") => cancelled += 1,
            (Finished::Ok, Canceled::Final, "succeeded") => succeeded += 1,
            others => panic!("{others:?}"),
        }
        let job = fleet.plain().await;
        let ticket = fleet.admit().await.remove(0);
        let (claimed, canceled) = tokio::join!(fleet.claim(&ticket), job::cancel(&other, TenantId::DEFAULT, job, None));
        match (&claimed.1, canceled.unwrap()) {
            (Claimed::Mine(_), Canceled::Soon) => {
                assert_eq!(job::finish(&fleet.client, &success(job, claimed.0)).await.unwrap(), Finished::Ok);
            }
            (Claimed::Stale, Canceled::Now) => {}
            others => panic!("{others:?}"),
        }
        assert_eq!(fleet.state(job).await, "canceled");
    }
    assert_eq!((violations(&fleet.client).await, fleet.head().await), (NONE.to_vec(), succeeded));
    assert!(cancelled + succeeded > 0);
}

/// T-51: red without the unique head of a lane, or when a lane is given on by arrival alone.
#[tokio::test]
async fn t51_a_long_lane_runs_one_by_one_by_priority_and_arrival() {
    const JOBS: usize = 500;
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let new = |place: usize| NewJob {
        priority: i16::try_from(place % 3).unwrap(),
        ..NewJob::new(fleet.project, JobType::Edit, "t".to_owned(), "do it".to_owned())
    };
    let jobs: Vec<NewJob> = (0..JOBS).map(new).collect();
    job::accept_all(&fleet.client, TenantId::DEFAULT, &jobs).await.unwrap();
    let mut order: Vec<(usize, JobId)> = jobs.iter().map(|job| job.id).enumerate().skip(1).collect();
    order.sort_by_key(|(place, _)| (std::cmp::Reverse(place % 3), *place));
    // The most urgent of the call takes the lane at once.
    order.insert(order.iter().position(|(place, _)| place % 3 == 0).unwrap(), (0, jobs[0].id));
    let other = database.client().await.unwrap();
    for (place, expected) in order {
        let tickets = fleet.admit().await;
        let [ticket] = &tickets[..] else { panic!("one at a time: {tickets:?}") };
        assert_eq!(ticket.job, expected, "the {place}th accepted");
        let again = AttemptId::generate();
        let ((attempt, one), two) =
            tokio::join!(fleet.claim(ticket), job::claim(&other, ticket, again, fleet.worker, "/x"));
        let attempt = match (one, two.unwrap()) {
            (Claimed::Mine(_), Claimed::Stale) => attempt,
            (Claimed::Stale, Claimed::Mine(_)) => again,
            both => panic!("{both:?}"),
        };
        assert_eq!(fleet.finish(ticket.job, attempt, Outcome::Succeeded, None).await, Finished::Ok);
    }
    assert_eq!(violations(&fleet.client).await, NONE);
}

/// T-52: red when accept or finish does not hold the project.
#[tokio::test]
async fn t52_an_accept_racing_with_the_last_finish_never_stalls_the_lane() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let other = database.client().await.unwrap();
    fleet.plain().await;
    for _ in 0..number("DRYDOCK_RACES", 300) {
        let (job, attempt) = fleet.running().await;
        announce(&fleet.client, job, &tree(1)).await;
        let finish = success(job, attempt);
        let new = NewJob::new(fleet.project, JobType::Edit, "t".to_owned(), "do it".to_owned());
        let (finished, accepted) =
            tokio::join!(job::finish(&fleet.client, &finish), job::accept(&other, TenantId::DEFAULT, &new));
        assert_eq!((finished.unwrap(), accepted.unwrap()), (Finished::Ok, job::Accepted::New(new.id)));
        assert_eq!(fleet.state(new.id).await, "queued");
    }
    assert_eq!(violations(&fleet.client).await, NONE);
}

struct Stress {
    database: Database,
    projects: Vec<ProjectId>,
    term: job::Term,
    end: Instant,
    accepted: AtomicU64,
    published: AtomicU64,
}

/// All calls from all sides for a while; batches name projects in any order.
#[tokio::test]
async fn everything_at_once_ends_everything_once_and_without_a_deadlock() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let mut projects = vec![fleet.project];
    for _ in 0..5 {
        projects.push(fleet.another_project(&database).await.project);
    }
    let end = Instant::now() + Duration::from_secs(number("DRYDOCK_STRESS_S", 8));
    let stress = Arc::new(Stress {
        database: database.clone(),
        projects,
        term: fleet.term,
        end,
        accepted: AtomicU64::new(0),
        published: AtomicU64::new(0),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..2 {
        tasks.spawn(clients(Arc::clone(&stress), client));
        tasks.spawn(leads(Arc::clone(&stress)));
    }
    for instance in 0..3 {
        tasks.spawn(works(Arc::clone(&stress), instance));
    }
    tasks.join_all().await;
    drain(&fleet).await;
    assert_eq!(violations(&fleet.client).await, NONE);
    let ends = "SELECT count(*) FILTER (WHERE finished_at IS NULL), count(*), (SELECT count(*) FROM version) FROM job";
    let row = fleet.client.query_one(ends, &[]).await.unwrap();
    let (open, jobs, versions): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let counted = |count: &AtomicU64| i64::try_from(count.load(Ordering::Relaxed)).unwrap();
    assert_eq!((open, jobs, versions), (0, counted(&stress.accepted), counted(&stress.published)));
    assert!(jobs > 0 && versions > 0);
    let events =
        "SELECT count(*) FROM (SELECT job_id FROM event WHERE data ->> 'status' IN ('completed', 'error', 'cancelled')
      GROUP BY 1 HAVING count(*) > 1) twice";
    assert_eq!(fleet.client.query_one(events, &[]).await.unwrap().get::<_, i64>(0), 0, "each ends once");
    assert_eq!(deadlocks(&fleet.client).await, 0);
}

fn dice(sides: u128) -> u128 {
    uuid::Uuid::now_v7().as_u128() % sides
}

async fn clients(stress: Arc<Stress>, number: usize) {
    let client = stress.database.client().await.unwrap();
    let mut mine: Vec<JobId> = Vec::new();
    while Instant::now() < stress.end {
        // One client names the projects from the first, the other from the last.
        let mut projects = stress.projects.clone();
        if number % 2 == 1 {
            projects.reverse();
        }
        let mut jobs: Vec<NewJob> = projects
            .into_iter()
            .map(|project| NewJob::new(project, JobType::Edit, "t".to_owned(), "do it".to_owned()))
            .collect();
        for new in &mut jobs {
            // Ids out of order, so that no order of rows is that of ids by chance.
            new.id = uuid::Uuid::from_u128(uuid::Uuid::now_v7().as_u128().swap_bytes()).into();
            (new.read_only, new.queue_timeout_s) = (dice(4) == 0, (dice(4) == 0).then_some(1));
            if mine.len() > 3 && dice(2) == 0 {
                new.depends_on = mine[mine.len() - 3..].to_vec();
            }
        }
        job::accept_all(&client, TenantId::DEFAULT, &jobs).await.unwrap();
        stress.accepted.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        mine.extend(jobs.iter().map(|job| job.id));
        for job in mine.iter().rev().take(8).filter(|_| dice(6) == 0) {
            job::cancel(&client, TenantId::DEFAULT, *job, None).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn leads(stress: Arc<Stress>) {
    let client = stress.database.client().await.unwrap();
    while Instant::now() < stress.end {
        job::end_waits(&client, 50).await.unwrap();
        job::admit(&client, stress.term, 4, 50, &[]).await.unwrap();
        job::redispatch(&client, stress.term, &[], Duration::from_millis(200), 50).await.unwrap();
        worker::end_expired(&client, Duration::ZERO).await.unwrap();
        for attempt in attempt::orphaned(&client, 50).await.unwrap() {
            attempt::reap(&client, attempt, Duration::ZERO).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A worker process after the other, which pull tickets, are sometimes lost, and finish late or twice.
async fn works(stress: Arc<Stress>, instance: usize) {
    let client = stress.database.client().await.unwrap();
    while Instant::now() < stress.end {
        let worker = WorkerId::generate();
        worker::start(&client, &describe(worker, &format!("host {instance}")), TTL).await.unwrap();
        for _ in 0..20 {
            let tickets: Vec<Ticket> = job::pull(&client, worker, 2).await.unwrap();
            for ticket in tickets {
                work(&stress, &client, &ticket, worker).await;
            }
            worker::renew(&client, worker, TTL, &[]).await.unwrap();
        }
    }
}

async fn work(stress: &Stress, client: &Client, ticket: &Ticket, worker: WorkerId) {
    let attempt = AttemptId::generate();
    if !matches!(job::claim(client, ticket, attempt, worker, "/x").await.unwrap(), Claimed::Mine(_)) || dice(10) == 0 {
        return;
    }
    let outcome = [Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed, Outcome::Interrupted]
        [usize::try_from(dice(4)).unwrap()];
    announce(client, ticket.job, &tree(1)).await;
    let finish = job::Finish { tree: Some(tree(1)), ..job::Finish::new(ticket.job, attempt, outcome, report()) };
    let answer = job::finish(client, &finish).await.unwrap();
    let again = job::finish(client, &finish).await.unwrap();
    assert!(matches!(again, Finished::Already | Finished::Fenced), "{answer:?}, then {again:?}");
    let sql = "SELECT count(*) FROM version WHERE attempt_id = $1";
    let versions: i64 = client.query_one(sql, &[&attempt.uuid()]).await.unwrap().get(0);
    stress.published.fetch_add(u64::try_from(versions).unwrap(), Ordering::Relaxed);
}

/// Nobody works any more: what is left is cancelled or taken back.
async fn drain(fleet: &Fleet) {
    fleet.client.batch_execute("UPDATE worker SET ended_at = now() WHERE ended_at IS NULL").await.unwrap();
    let open = "SELECT id, current_attempt FROM job WHERE finished_at IS NULL";
    for row in fleet.client.query(open, &[]).await.unwrap() {
        job::cancel(&fleet.client, TenantId::DEFAULT, row.get::<_, uuid::Uuid>(0).into(), None).await.unwrap();
        if let Some(attempt) = row.get::<_, Option<uuid::Uuid>>(1) {
            attempt::reap(&fleet.client, attempt.into(), Duration::ZERO).await.unwrap();
        }
    }
}
