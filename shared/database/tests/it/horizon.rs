//! A transaction that stays open elsewhere while jobs go through: old row versions pile up, and admission has to step over them.

use std::time::{Duration, Instant};

use drydock_database::{
    horizon,
    job::{self, Claimed, Finish, Finished},
};
use drydock_domain::{AttemptId, Outcome, TenantId};
use drydock_testing::violations;
use uuid::Uuid;

use crate::{
    backlog::{accept, projects},
    support::{Fleet, report},
};

/// Jobs of one round, and the time between the beginnings of two: 200 jobs a second.
const JOBS: usize = 20;
const ROUND: Duration = Duration::from_millis(100);
/// Below this a difference tells of a busy machine, not of the queue.
const FLOOR: Duration = Duration::from_millis(40);

/// Sends rounds of jobs through accept, admit, claim and finish; the 99th percentile of the admissions' times.
async fn p99_of_admit(fleet: &Fleet, projects: &[Uuid], rounds: usize) -> Duration {
    let mut times = Vec::new();
    let mut next = tokio::time::interval(ROUND);
    for _ in 0..rounds {
        next.tick().await;
        job::accept_all(&fleet.client, TenantId::DEFAULT, &accept(projects, JOBS)).await.unwrap();
        let began = Instant::now();
        let tickets = fleet.admit_most(200).await;
        times.push(began.elapsed());
        assert_eq!(tickets.len(), JOBS);
        for ticket in &tickets {
            let attempt = AttemptId::generate();
            let claimed = job::claim(&fleet.client, ticket, attempt, fleet.worker, "/scratch/x").await.unwrap();
            assert!(matches!(claimed, Claimed::Mine(_)));
            let finish = Finish::new(ticket.job, attempt, Outcome::Succeeded, report());
            assert_eq!(job::finish(&fleet.client, &finish).await.unwrap(), Finished::Ok);
        }
    }
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

/// Red when what stays open also locks (`LOCK TABLE leader IN EXCLUSIVE MODE`: admissions wait), and when an idle session is left
/// out of the query.
#[tokio::test]
async fn t46_admission_stays_fast_while_old_rows_cannot_be_removed() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.client.batch_execute("UPDATE worker SET slots = 1000").await.unwrap();
    let projects = projects(&fleet.client, JOBS.try_into().unwrap()).await;
    let before = p99_of_admit(&fleet, &projects, 20).await;
    let mut elsewhere = database.client().await.unwrap();
    let reading = elsewhere.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let reading = reading.start().await.unwrap();
    let session = "SET idle_in_transaction_session_timeout = 0; SELECT count(*) FROM job";
    reading.batch_execute(session).await.unwrap();
    // Some 8 s, for the ten minutes of production: dead rows are as many as jobs ended.
    let meanwhile = p99_of_admit(&fleet, &projects, 80).await;
    let oldest = horizon::oldest_transaction(&fleet.client).await.unwrap().unwrap();
    assert!(oldest.age > ROUND * 60 && oldest.holder.contains("drydock"), "{oldest:?}");
    drop(reading);
    drop(elsewhere);
    fleet.client.batch_execute("VACUUM job, project, attempt").await.unwrap();
    let after = p99_of_admit(&fleet, &projects, 20).await;
    let limit = 3 * before.max(FLOOR);
    assert!(meanwhile < limit && after < limit, "before {before:?}, meanwhile {meanwhile:?}, after {after:?}");
    let oldest = horizon::oldest_transaction(&fleet.client).await.unwrap();
    assert!(oldest.is_none_or(|oldest| oldest.age < ROUND * 60), "recovered");
    assert_eq!(violations(&fleet.client).await, Vec::<String>::new());
}
