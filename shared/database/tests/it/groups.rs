//! Claims and finishes in groups: each is answered as it would be alone, and none waits for what somebody else holds.

use std::time::{Duration, Instant};

use drydock_database::{
    Client, Database,
    job::{self, Asking, Claimed, Finish, Finished, claim_group, finish_group},
};
use drydock_domain::{AttemptId, JobId, Outcome, Ticket};

use crate::support::{Fleet, TTL, report};

/// Jobs of as many projects, admitted; by job id.
async fn admitted(database: &Database, fleet: &Fleet, count: usize) -> Vec<Ticket> {
    for _ in 0..count {
        fleet.another_project(database).await.plain().await;
    }
    let mut tickets = fleet.admit().await;
    tickets.sort_by_key(|ticket| ticket.job);
    assert_eq!(tickets.len(), count);
    tickets
}

fn asking(ticket: &Ticket) -> Asking {
    Asking { ticket: ticket.clone(), attempt: AttemptId::generate(), workspace_path: "/x".to_owned() }
}

async fn claimed(fleet: &Fleet, tickets: &[Ticket]) -> Vec<Finish> {
    let group: Vec<Asking> = tickets.iter().map(asking).collect();
    let answers = claim_group(&fleet.client, fleet.worker, &group).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Some(Claimed::Mine(_)))), "{answers:?}");
    group.iter().map(|one| success(one.ticket.job, one.attempt)).collect()
}

fn success(job: JobId, attempt: AttemptId) -> Finish {
    Finish::new(job, attempt, Outcome::Succeeded, report())
}

async fn is_waiting(client: &Client) -> Option<()> {
    let sql =
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0).then_some(())
}

/// Red when places are not kept.
#[tokio::test]
async fn each_claim_of_a_group_is_answered_as_if_alone() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let tickets = admitted(&database, &fleet, 3).await;
    let old = Ticket::new(tickets[1].job, 0, "default".to_owned(), 0);
    let mut group: Vec<Asking> = [&tickets[2], &old, &tickets[0], &tickets[2]].map(asking).into();
    for round in ["first", "again, as after a lost reply"] {
        let answers = claim_group(&fleet.client, fleet.worker, &group).await.unwrap();
        let [Some(Claimed::Mine(one)), Some(Claimed::Stale), Some(Claimed::Mine(other)), Some(Claimed::Stale)] =
            &answers[..]
        else {
            panic!("{round}: {answers:?}")
        };
        assert_ne!(one.spec.project_id, other.spec.project_id);
        assert_eq!(fleet.state(tickets[1].job).await, "dispatched");
    }
    group.truncate(1);
    drydock_database::worker::drain(&fleet.client, fleet.worker).await.unwrap();
    let late = [asking(&tickets[1]), group.remove(0)];
    let answers = claim_group(&fleet.client, fleet.worker, &late).await.unwrap();
    assert!(matches!(answers[..], [Some(Claimed::Refused), Some(Claimed::Mine(_))]), "{answers:?}");
}

/// Red when places are not kept.
#[tokio::test]
async fn each_finish_of_a_group_is_answered_as_if_alone() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let tickets = admitted(&database, &fleet, 3).await;
    let finishes = claimed(&fleet, &tickets).await;
    let done = job::finish(&fleet.client, &finishes[1]).await.unwrap();
    assert_eq!(done, Finished::Ok);
    let failed = Finish { outcome: Outcome::Failed, ..finishes[2].clone() };
    let fenced = success(tickets[0].job, AttemptId::generate());
    let group = [&finishes[1], &fenced, &failed, &finishes[0]];
    let answers = finish_group(&fleet.client, &group).await.unwrap();
    assert_eq!(answers, [Finished::Already, Finished::Fenced, Finished::Ok, Finished::Ok].map(Some));
    assert_eq!(fleet.state(tickets[2].job).await, "failed");
    assert_eq!(fleet.state(tickets[0].job).await, "succeeded");
}

/// Another's transaction that holds one row of a table.
async fn hold(other: &Client, table: &str, id: uuid::Uuid) {
    other.batch_execute(&format!("BEGIN; SELECT 1 FROM {table} WHERE id = '{id}' FOR UPDATE")).await.unwrap();
}

/// Red when either is locked without SKIP LOCKED: the call waits for the other's transaction, and in vain.
#[tokio::test]
async fn a_group_of_finishes_waits_for_nothing_that_somebody_holds() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let other = database.client().await.unwrap();
    for table in ["project", "job"] {
        let finishes = claimed(&fleet, &admitted(&database, &fleet, 3).await).await;
        let job = finishes[1].job.uuid();
        let project = "SELECT project_id FROM job WHERE id = $1";
        let project = fleet.client.query_one(project, &[&job]).await.unwrap().get(0);
        hold(&other, table, if table == "job" { job } else { project }).await;
        let group: Vec<&Finish> = finishes.iter().collect();
        let answers = finish_group(&fleet.client, &group).await.unwrap();
        assert_eq!(answers, [Some(Finished::Ok), None, Some(Finished::Ok)], "{table}");
        assert_eq!(finish_group(&fleet.client, &group[1..2]).await.unwrap(), [None], "{table}: one is a group, too");
        other.batch_execute("COMMIT").await.unwrap();
        assert_eq!(job::finish(&fleet.client, &finishes[1]).await.unwrap(), Finished::Ok);
    }
}

/// Red when the jobs are locked without SKIP LOCKED, and when a ticket whose job somebody holds is taken for an old one.
#[tokio::test]
async fn a_group_of_claims_waits_for_no_job_that_somebody_holds() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let tickets = admitted(&database, &fleet, 3).await;
    let other = database.client().await.unwrap();
    hold(&other, "job", tickets[1].job.uuid()).await;
    let group: Vec<Asking> = tickets.iter().map(asking).collect();
    let answers = claim_group(&fleet.client, fleet.worker, &group).await.unwrap();
    assert!(matches!(answers[..], [Some(Claimed::Mine(_)), None, Some(Claimed::Mine(_))]), "{answers:?}");
    other.batch_execute("COMMIT").await.unwrap();
    let late = &group[1];
    let answer = job::claim(&fleet.client, &late.ticket, late.attempt, fleet.worker, "/x").await.unwrap();
    assert!(matches!(answer, Claimed::Mine(_)), "{answer:?}");
}

/// Red when a group waits as long as a single finish may: 10 s.
#[tokio::test]
async fn a_group_gives_up_soon_on_a_row_it_has_to_wait_for() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let finishes = claimed(&fleet, &admitted(&database, &fleet, 2).await).await;
    let other = database.client().await.unwrap();
    hold(&other, "attempt", finishes[1].attempt.uuid()).await;
    let began = Instant::now();
    let error = finish_group(&fleet.client, &[&finishes[0], &finishes[1]]).await.unwrap_err();
    assert!(error.is_timeout() && began.elapsed() < Duration::from_secs(8), "{error:?} after {:?}", began.elapsed());
    assert_eq!(job::finish(&fleet.client, &finishes[0]).await.unwrap(), Finished::Ok);
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(job::finish(&fleet.client, &finishes[1]).await.unwrap(), Finished::Ok);
}

/// A renewal locks attempts in id order, too. Red without the statement that locks them; its order the index on the id gives as
/// well.
#[tokio::test]
async fn a_group_of_finishes_locks_attempts_in_id_order() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let finishes = claimed(&fleet, &admitted(&database, &fleet, 2).await).await;
    let (one, two) = (database.client().await.unwrap(), database.client().await.unwrap());
    let mut attempts: Vec<_> = finishes.iter().map(|finish| finish.attempt.uuid()).collect();
    attempts.sort();
    // In both orders: one of them is the wrong one, whichever the scan comes by.
    for group in [[&finishes[0], &finishes[1]], [&finishes[1], &finishes[0]]] {
        hold(&one, "attempt", attempts[0]).await;
        // Undone afterwards, for the next order.
        fleet.client.batch_execute("BEGIN").await.unwrap();
        let finishing = finish_group(&fleet.client, &group);
        let looking = async {
            drydock_testing::until("the group waits", TTL, || is_waiting(&two)).await;
            let look = "SELECT 1 FROM attempt WHERE id = $1 FOR UPDATE NOWAIT";
            let free = two.query(look, &[&attempts[1]]).await;
            assert!(free.is_ok(), "attempts are locked in the group's order");
            one.batch_execute("COMMIT").await.unwrap();
        };
        let (answers, ()) = tokio::join!(finishing, looking);
        assert_eq!(answers.unwrap(), [Some(Finished::Ok), Some(Finished::Ok)]);
        fleet.client.batch_execute("ROLLBACK").await.unwrap();
    }
}
