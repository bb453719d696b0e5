//! Trees are brought to workers before the jobs that wait for a slot.

use drydock_database::{job, worker};
use drydock_domain::{Digest, Outcome, TenantId, WorkerId};

use crate::{
    locality::{another_worker, hold, with_version},
    support::{Fleet, tree},
};

/// Gives a worker its only slot to do: a job of another project.
async fn occupy(fleet: &Fleet, database: &drydock_database::Database, worker: WorkerId) {
    let slots = "UPDATE worker SET slots = 1 WHERE id = $1";
    fleet.client.execute(slots, &[&worker.uuid()]).await.unwrap();
    let other = Fleet { worker, ..fleet.another_project(database).await };
    other.plain().await;
    other.running().await;
}

/// The fleet with its pool full, and a job of the project in line; nobody says where its first version is.
async fn in_line(database: &drydock_database::Database) -> Fleet {
    let fleet = with_version(database).await;
    occupy(&fleet, database, fleet.worker).await;
    fleet.plain().await;
    fleet
}

async fn next_in_line(fleet: &Fleet) -> Vec<(WorkerId, Digest)> {
    let next = job::next_in_line(&fleet.client, fleet.term, 4, 16).await.unwrap();
    next.into_iter().map(|ahead| (ahead.worker, ahead.tree)).collect()
}

#[tokio::test]
async fn a_full_pool_is_told_what_the_next_job_starts_from() {
    let database = drydock_testing::database().await;
    let fleet = in_line(&database).await;
    assert_eq!(next_in_line(&fleet).await, [(fleet.worker, Digest::from_bytes([1; 32]))]);
    let usurper = job::Term { number: fleet.term.number + 1, ..fleet.term };
    assert!(job::next_in_line(&fleet.client, usurper, 4, 16).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_here_or_will_start_at_once_is_not_fetched_ahead() {
    for never in [
        "INSERT INTO held_tree SELECT p.tenant_id, v.tree_id, w.id FROM version v JOIN project p ON p.id = v.project_id, worker w",
        "UPDATE worker SET slots = 2",
        "UPDATE worker SET draining = true",
        "UPDATE job SET backing_off = true WHERE state = 'queued'",
        "UPDATE worker SET agents = '{}'",
    ] {
        let database = drydock_testing::database().await;
        let fleet = in_line(&database).await;
        fleet.client.batch_execute(never).await.unwrap();
        assert_eq!(next_in_line(&fleet).await, [], "{never}");
    }
}

#[tokio::test]
async fn the_worker_that_is_busy_for_longest_is_told() {
    for first in [0, 1] {
        let database = drydock_testing::database().await;
        let fleet = with_version(&database).await;
        let workers = [fleet.worker, another_worker(&fleet.client, "two").await];
        fleet.client.execute("UPDATE worker SET slots = 1", &[]).await.unwrap();
        occupy(&fleet, &database, workers[first]).await;
        occupy(&fleet, &database, workers[1 - first]).await;
        fleet.plain().await;
        assert_eq!(next_in_line(&fleet).await, [(workers[first], Digest::from_bytes([1; 32]))]);
    }
}

#[tokio::test]
async fn what_is_elsewhere_does_not_count_as_here() {
    let database = drydock_testing::database().await;
    let fleet = in_line(&database).await;
    let (stranger, late) =
        (another_worker(&fleet.client, "stranger").await, another_worker(&fleet.client, "late").await);
    let elsewhere = "UPDATE worker SET pool = 'other' WHERE instance = 'stranger'";
    fleet.client.execute(elsewhere, &[]).await.unwrap();
    hold(&fleet.client, stranger).await;
    hold(&fleet.client, late).await;
    worker::end(&fleet.client, late).await.unwrap();
    let another = [(TenantId::DEFAULT, Digest::from_bytes([2; 32]))];
    worker::advertise(&fleet.client, fleet.worker, &another, &[]).await.unwrap();
    assert_eq!(next_in_line(&fleet).await, [(fleet.worker, Digest::from_bytes([1; 32]))]);
}

#[tokio::test]
async fn a_worker_that_drains_has_no_slots_and_is_told_nothing() {
    let database = drydock_testing::database().await;
    let fleet = in_line(&database).await;
    let two = another_worker(&fleet.client, "two").await;
    assert_eq!(next_in_line(&fleet).await, [], "it has slots");
    worker::drain(&fleet.client, two).await.unwrap();
    assert_eq!(next_in_line(&fleet).await, [(fleet.worker, Digest::from_bytes([1; 32]))]);
}

/// Two projects with a version each and a job in line, the second's with the higher priority, behind full workers.
async fn two_in_line(database: &drydock_database::Database, workers: usize) -> Fleet {
    let fleet = with_version(database).await;
    let other = fleet.another_project(database).await;
    other.plain().await;
    let (job, attempt) = other.running().await;
    other.finish(job, attempt, Outcome::Succeeded, Some(&tree(2))).await;
    occupy(&fleet, database, fleet.worker).await;
    for at in 1..workers {
        let worker = another_worker(&fleet.client, &format!("worker {at}")).await;
        occupy(&fleet, database, worker).await;
    }
    fleet.accept(|job| job.priority = 3).await;
    other.accept(|job| job.priority = 5).await;
    fleet
}

#[tokio::test]
async fn the_tree_of_the_job_that_is_first_in_line_is_fetched_first() {
    let database = drydock_testing::database().await;
    let fleet = two_in_line(&database, 1).await;
    assert_eq!(next_in_line(&fleet).await, [(fleet.worker, Digest::from_bytes([2; 32]))]);
    // One that backs off is not in line, whatever its priority.
    let backing_off = "UPDATE job SET backing_off = true WHERE priority = 5";
    fleet.client.execute(backing_off, &[]).await.unwrap();
    assert_eq!(next_in_line(&fleet).await, [(fleet.worker, Digest::from_bytes([1; 32]))]);
}

#[tokio::test]
async fn each_worker_is_told_of_one_tree_and_a_pool_of_as_many_as_asked() {
    let database = drydock_testing::database().await;
    let fleet = two_in_line(&database, 2).await;
    let told = |each, most| job::next_in_line(&fleet.client, fleet.term, each, most);
    let all = told(4, 16).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_ne!(all[0].tree, all[1].tree);
    assert_ne!(all[0].worker, all[1].worker);
    assert_eq!(told(4, 1).await.unwrap().len(), 1);
    assert_eq!(told(1, 16).await.unwrap().len(), 1, "one job of a tenant with the same demand is looked at");
    fleet.client.execute("UPDATE job SET demand = 'another' WHERE priority = 5", &[]).await.unwrap();
    assert_eq!(told(1, 16).await.unwrap().len(), 2);
}
