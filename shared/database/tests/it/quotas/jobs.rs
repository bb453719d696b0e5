//! Jobs that wait.

use chrono::{TimeDelta, Utc};
use drydock_database::{
    batch::{self, BatchSettings, LineJob, NewBatch, Refused},
    job::Idempotency,
};
use drydock_domain::{BatchId, JobId, Outcome};
use serde_json::json;

use super::*;
use crate::support::Fleet;

fn queued(most: i32) -> Quotas {
    Quotas { max_queued_jobs: Some(most), ..Quotas::default() }
}

fn key(word: &str) -> Option<Idempotency> {
    Some(Idempotency { key: word.to_owned(), fingerprint: [7; 32] })
}

/// What the leader does each second.
async fn count(client: &Client) {
    for id in tenant::to_count(client).await.unwrap() {
        tenant::count(client, id).await.unwrap();
    }
}

async fn waiting(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM job WHERE tenant_id = $1 AND batch_id IS NULL AND dd_status_v1(state) = 'queued'";
    client.query_one(sql, &[&T.uuid()]).await.unwrap().get(0)
}

#[tokio::test]
async fn as_many_wait_as_the_quota_says_and_the_first_of_a_call_come_first() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    set(client, queued(3)).await;
    let jobs: Vec<NewJob> = (0..5).map(|_| edit(fleet.project)).collect();
    let answers = accept(client, &jobs).await;
    assert_eq!(let_in(&answers), [true, true, true, false, false]);
    assert_eq!(answers[4], over("queued jobs: 3 of 3 are used"));
    assert_eq!((waiting(client).await, row(client).await.queued_jobs), (3, Some(3)));
    assert_eq!(accept(client, &[edit(fleet.project)]).await, [over("queued jobs: 3 of 3 are used")]);

    let (job, attempt) = fleet.running().await;
    assert_eq!(let_in(&accept(client, &[edit(fleet.project)]).await), [false], "nobody has counted since");
    count(client).await;
    assert_eq!(row(client).await.queued_jobs, Some(2), "one that runs waits no more");
    assert_eq!(let_in(&accept(client, &[edit(fleet.project), edit(fleet.project)]).await), [true, false]);
    // It is to run again: it waits, and nobody refuses that.
    fleet.finish(job, attempt, Outcome::Interrupted, None).await;
    count(client).await;
    assert_eq!((waiting(client).await, row(client).await.queued_jobs), (4, Some(4)));
    assert_eq!(accept(client, &[edit(fleet.project)]).await, [over("queued jobs: 4 of 3 are used")]);
    // Counted again though nothing came since.
    job::cancel(client, T, job, None).await.unwrap();
    count(client).await;
    assert_eq!(row(client).await.queued_jobs, Some(3));
    set(client, queued(0)).await;
    assert_eq!(let_in(&accept(client, &[edit(fleet.project)]).await), [true]);
    assert_eq!((row(client).await.max_queued_jobs, row(client).await.queued_jobs), (None, None));
}

#[tokio::test]
async fn a_quota_that_is_set_counts_what_waits_already_in_every_state_but_no_lines_of_batches() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    let other = fleet.another_project(&database).await;
    let first = fleet.plain().await;
    fleet.plain().await;
    fleet.accept(|job| job.run_at = Some(Utc::now() + TimeDelta::hours(1))).await;
    fleet.accept(|job| job.depends_on = vec![first]).await;
    fleet.admit().await;
    other.plain().await;
    let (done, attempt) = fleet.running().await;
    fleet.finish(done, attempt, Outcome::Succeeded, None).await;
    let states = "SELECT array_agg(DISTINCT state::text ORDER BY state::text) FROM job WHERE finished_at IS NULL";
    let states: Vec<String> = client.query_one(states, &[]).await.unwrap().get(0);
    assert_eq!(states, ["dispatched", "pending", "scheduled"]);
    let batch = BatchId::generate();
    let new = NewBatch {
        id: batch,
        name: "fix".to_owned(),
        labels: json!({}),
        settings: BatchSettings::default(),
        idempotency: None,
    };
    batch::create(client, T, &new).await.unwrap();
    let lines = [1, 2].map(|line| LineJob { line, hash: 1, job: edit(other.project) });
    assert_eq!(batch::accept(client, T, batch, &lines).await.unwrap(), Refused::Lines(Vec::new()));
    assert_eq!(batch::step(client, batch, 1, 1).await.unwrap().unwrap().let_go, 1);
    set(client, queued(9)).await;
    assert_eq!(row(client).await.queued_jobs, Some(waiting(client).await));
    assert_eq!(waiting(client).await, 4);
}

#[tokio::test]
async fn a_request_that_came_before_is_answered_and_one_that_was_refused_may_come_again() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    set(client, queued(1)).await;
    let one = NewJob { idempotency: key("one"), ..edit(fleet.project) };
    let two = NewJob { idempotency: key("two"), ..edit(fleet.project) };
    let two_again = NewJob { id: JobId::generate(), ..two.clone() };
    let answers = accept(client, &[one.clone(), two.clone(), two_again.clone()]).await;
    let full = over("queued jobs: 1 of 1 are used");
    assert_eq!(answers, [Accepted::New(one.id), full.clone(), full.clone()]);
    let one_again = NewJob { id: JobId::generate(), ..one.clone() };
    assert_eq!(accept(client, &[one_again]).await, [Accepted::Replayed(one.id)]);
    // The answer to an acceptance got lost, and it is asked again as it was.
    let lost = edit(fleet.project);
    set(client, queued(2)).await;
    assert_eq!(accept(client, std::slice::from_ref(&lost)).await, [Accepted::New(lost.id)]);
    let error = job::accept_all(client, T, std::slice::from_ref(&lost)).await.unwrap_err();
    assert!(error.is_duplicate(), "it is there, and not refused: {error:?}");
    set(client, queued(3)).await;
    assert_eq!(accept(client, std::slice::from_ref(&two)).await, [Accepted::New(two.id)], "its key was not kept");
}

#[tokio::test]
async fn what_depends_on_a_refused_job_is_refused_and_what_is_refused_for_another_reason_takes_no_room() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    set(client, queued(2)).await;
    let stray = edit(ProjectId::generate());
    let orphan = NewJob { depends_on: vec![JobId::generate()], ..edit(fleet.project) };
    let (a, b) = (edit(fleet.project), edit(fleet.project));
    let c = NewJob { depends_on: vec![b.id], ..edit(fleet.project) };
    let answers = accept(client, &[stray, orphan, a, b, c]).await;
    assert_eq!(answers[..2], [Accepted::NoProject, Accepted::NoDependency]);
    assert_eq!(let_in(&answers[2..]), [true, true, false]);
    assert_eq!(row(client).await.queued_jobs, Some(2));
    let edges: i64 = client.query_one("SELECT count(*) FROM job_dependency", &[]).await.unwrap().get(0);
    assert_eq!(edges, 0);
}

/// While an acceptance is being written, neither another one nor the leader's count waits for it, and none counts it twice.
#[tokio::test]
async fn accepts_and_counts_wait_for_nobody_and_come_out_exact() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let others = [fleet.another_project(&database).await, fleet.another_project(&database).await];
    let client = &fleet.client;
    client.execute("SET lock_timeout = '5s'", &[]).await.unwrap();
    set(client, queued(4)).await;
    fleet.plain().await;
    let mut slow = database.client().await.unwrap();
    let open = slow.transaction().await.unwrap();
    let accepted = job::accept_all(&open, T, &[edit(others[0].project)]).await.unwrap();
    assert_eq!(let_in(&accepted), [true]);
    // The row of the tally that the first one left is held by the open one.
    let rows = "SELECT count(*) FROM tenant_tally WHERE tenant_id = $1";
    count(client).await;
    assert_eq!(row(client).await.queued_jobs, Some(1), "what is not committed does not count");
    assert_eq!(let_in(&accept(client, &[edit(others[1].project)]).await), [true]);
    let held: i64 = client.query_one(rows, &[&T.uuid()]).await.unwrap().get(0);
    assert_eq!(held, 2, "it took a row of its own");
    count(client).await;
    assert_eq!(row(client).await.queued_jobs, Some(2));
    open.commit().await.unwrap();
    assert_eq!((row(client).await.queued_jobs, waiting(client).await), (Some(3), 3));
    count(client).await;
    assert_eq!(row(client).await.queued_jobs, Some(3));
    let held: i64 = client.query_one(rows, &[&T.uuid()]).await.unwrap().get(0);
    assert_eq!(held, 0, "all is folded in");
    assert_eq!(let_in(&accept(client, &[edit(fleet.project), edit(fleet.project)]).await), [true, false]);
}

/// Many at once: none is lost, and no more come on top than were being written at the same moment.
#[tokio::test]
async fn of_many_at_once_about_as_many_as_the_quota_says_are_let_in_and_all_are_counted() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    set(&fleet.client, queued(20)).await;
    let mut projects = vec![fleet.project];
    for _ in 0..3 {
        projects.push(fleet.another_project(&database).await.project);
    }
    let lanes = projects.into_iter().map(|project| {
        let database = database.clone();
        async move {
            let client = database.client().await.unwrap();
            let mut made = 0;
            for _ in 0..20 {
                made += let_in(&accept(&client, &[edit(project)]).await).into_iter().filter(|is| *is).count();
            }
            made
        }
    });
    let made: usize = futures_util::future::join_all(lanes).await.into_iter().sum();
    assert!((20..=23).contains(&made), "{made}: one of each of the three others at most");
    let all = i64::try_from(made).unwrap();
    assert_eq!((waiting(&fleet.client).await, row(&fleet.client).await.queued_jobs), (all, Some(all)));
    count(&fleet.client).await;
    // Counted to one more than the quota.
    assert_eq!(row(&fleet.client).await.queued_jobs, Some(all.min(21)));
}
