//! Jobs are offered to workers that have their base version.

use drydock_database::{Client, job, worker};
use drydock_domain::{Digest, Dispatch, JobId, Outcome, TenantId, WorkerId};

use crate::support::{Fleet, TTL, describe, tree};

/// A fleet whose worker made a version of the project; the worker has four slots.
pub(crate) async fn with_version(database: &drydock_database::Database) -> Fleet {
    let fleet = Fleet::new(database).await;
    publish(&fleet).await;
    fleet
}

async fn publish(fleet: &Fleet) {
    fleet.plain().await;
    let (job, attempt) = fleet.running().await;
    fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await;
    assert_eq!(fleet.head().await, 1);
}

pub(crate) async fn another_worker(client: &Client, instance: &str) -> WorkerId {
    let worker = WorkerId::generate();
    worker::start(client, &describe(worker, instance), TTL).await.unwrap();
    worker
}

pub(crate) async fn hold(client: &Client, worker: WorkerId) {
    assert!(worker::advertise(client, worker, &[(TenantId::DEFAULT, Digest::from_bytes([1; 32]))], &[]).await.unwrap());
}

/// The tree is not at its maker any more, as far as attempts tell.
async fn forget_maker(client: &Client) {
    client.execute("UPDATE version SET attempt_id = NULL", &[]).await.unwrap();
}

async fn admitted(fleet: &Fleet, lookahead: i32, out: &[(JobId, WorkerId)]) -> Vec<Dispatch> {
    job::admit(&fleet.client, fleet.term, lookahead, 100, out).await.unwrap()
}

/// Whom the only job that can be admitted is offered to.
async fn offered(fleet: &Fleet) -> Option<WorkerId> {
    fleet.plain().await;
    let admitted = admitted(fleet, 0, &[]).await;
    let [Dispatch { near, .. }] = &admitted[..] else { panic!("one ticket expected, got {admitted:?}") };
    *near
}

/// As [`offered`], `count` jobs that only read, so that they run together.
async fn offered_together(
    fleet: &Fleet,
    count: usize,
    lookahead: i32,
    out: &[(JobId, WorkerId)],
) -> Vec<Option<WorkerId>> {
    for _ in 0..count {
        fleet.accept(|job| job.read_only = true).await;
    }
    admitted(fleet, lookahead, out).await.into_iter().map(|dispatch| dispatch.near).collect()
}

#[tokio::test]
async fn a_job_is_offered_to_who_made_its_base_version() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    another_worker(&fleet.client, "two").await;
    assert_eq!(offered(&fleet).await, Some(fleet.worker));
}

#[tokio::test]
async fn a_job_without_a_base_version_is_offered_to_nobody() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    hold(&fleet.client, fleet.worker).await;
    assert_eq!(offered(&fleet).await, None);
}

#[tokio::test]
async fn a_job_is_offered_to_who_holds_its_tree_until_that_goes() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    forget_maker(&fleet.client).await;
    let two = another_worker(&fleet.client, "two").await;
    hold(&fleet.client, two).await;
    assert_eq!(offered(&fleet).await, Some(two));
    let gone = [(TenantId::DEFAULT, Digest::from_bytes([1; 32]))];
    worker::advertise(&fleet.client, two, &[], &gone).await.unwrap();
    fleet.client.execute("UPDATE job SET state = 'queued' WHERE state = 'dispatched'", &[]).await.unwrap();
    assert_eq!(admitted(&fleet, 0, &[]).await[0].near, None);
}

#[tokio::test]
async fn what_another_tenant_holds_is_not_asked() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    forget_maker(&fleet.client).await;
    let other = TenantId::generate();
    fleet.client.execute("INSERT INTO tenant (id, name) VALUES ($1, 'other')", &[&other.uuid()]).await.unwrap();
    worker::advertise(&fleet.client, fleet.worker, &[(other, Digest::from_bytes([1; 32]))], &[]).await.unwrap();
    assert_eq!(offered(&fleet).await, None);
}

#[tokio::test]
async fn nobody_is_offered_what_it_could_not_take() {
    for unfit in [
        "UPDATE worker SET draining = true",
        "UPDATE worker SET ended_at = now()",
        "UPDATE worker SET lease_until = now() - interval '1 s'",
        "UPDATE worker SET pool = 'other'",
        "UPDATE worker SET agents = '{}'",
    ] {
        for maker in [true, false] {
            let database = drydock_testing::database().await;
            let fleet = with_version(&database).await;
            another_worker(&fleet.client, "two").await;
            if !maker {
                forget_maker(&fleet.client).await;
                hold(&fleet.client, fleet.worker).await;
            }
            fleet.client.batch_execute(&format!("{unfit} WHERE instance = 'one'")).await.unwrap();
            assert_eq!(offered(&fleet).await, None, "{unfit}, the maker: {maker}");
        }
    }
}

#[tokio::test]
async fn each_worker_tells_for_itself() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    forget_maker(&fleet.client).await;
    let two = another_worker(&fleet.client, "two").await;
    hold(&fleet.client, two).await;
    // As after an advertisement that got lost on its way back.
    hold(&fleet.client, two).await;
    let tree = [(TenantId::DEFAULT, Digest::from_bytes([1; 32]))];
    worker::advertise(&fleet.client, fleet.worker, &[], &tree).await.unwrap();
    assert_eq!(offered(&fleet).await, Some(two));
}

#[tokio::test]
async fn a_worker_that_is_over_holds_nothing_and_cannot_say_so() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    hold(&fleet.client, fleet.worker).await;
    assert_eq!(worker::forget_held(&fleet.client, 100).await.unwrap(), 0, "it lives");
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    assert_eq!(worker::forget_held(&fleet.client, 100).await.unwrap(), 1);
    assert_eq!(worker::forget_held(&fleet.client, 100).await.unwrap(), 0);
    let held: i64 = fleet.client.query_one("SELECT count(*) FROM held_tree", &[]).await.unwrap().get(0);
    let another = [(TenantId::DEFAULT, Digest::from_bytes([2; 32]))];
    let told = worker::advertise(&fleet.client, fleet.worker, &another, &[]).await.unwrap();
    assert_eq!((held, told), (0, false));
}

#[tokio::test]
async fn what_workers_held_that_are_over_goes_a_part_at_a_time() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let workers = [fleet.worker, another_worker(&fleet.client, "two").await];
    for worker in workers {
        let trees = [1, 2, 3].map(|tree| (TenantId::DEFAULT, Digest::from_bytes([tree; 32])));
        assert!(worker::advertise(&fleet.client, worker, &trees, &[]).await.unwrap());
        worker::end(&fleet.client, worker).await.unwrap();
    }
    let mut went = Vec::new();
    for _ in 0..5 {
        went.push(worker::forget_held(&fleet.client, 2).await.unwrap());
    }
    assert_eq!(went, [2, 1, 2, 1, 0]);
}

#[tokio::test]
async fn more_jobs_than_free_slots_are_offered_to_several_and_to_nobody() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    let two = another_worker(&fleet.client, "two").await;
    another_worker(&fleet.client, "three").await;
    hold(&fleet.client, two).await;
    fleet.client.execute("UPDATE worker SET slots = 1 WHERE instance <> 'three'", &[]).await.unwrap();
    let mut near = offered_together(&fleet, 3, 0, &[]).await;
    near.sort();
    let mut expected = [None, Some(fleet.worker), Some(two)];
    expected.sort();
    assert_eq!(near, expected);
}

#[tokio::test]
async fn jobs_of_a_tree_are_spread_over_its_holders() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    let two = another_worker(&fleet.client, "two").await;
    hold(&fleet.client, two).await;
    let mut near = offered_together(&fleet, 2, 0, &[]).await;
    near.sort();
    let mut expected = [Some(fleet.worker), Some(two)];
    expected.sort();
    assert_eq!(near, expected, "both have four slots");
}

#[tokio::test]
async fn a_worker_that_holds_two_trees_is_offered_as_much_as_it_has_slots() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    let other = fleet.another_project(&database).await;
    other.plain().await;
    let (job, attempt) = other.running().await;
    other.finish(job, attempt, Outcome::Succeeded, Some(&tree(2))).await;
    another_worker(&fleet.client, "two").await;
    fleet.client.execute("UPDATE worker SET slots = 1 WHERE instance = 'one'", &[]).await.unwrap();
    other.accept(|job| job.read_only = true).await;
    assert_eq!(offered_together(&fleet, 1, 0, &[]).await, [Some(fleet.worker), None]);
}

#[tokio::test]
async fn a_slot_that_is_offered_or_taken_is_not_offered_again() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    another_worker(&fleet.client, "two").await;
    fleet.client.execute("UPDATE worker SET slots = 1 WHERE instance = 'one'", &[]).await.unwrap();
    let first = fleet.accept(|job| job.read_only = true).await;
    assert_eq!(admitted(&fleet, 0, &[]).await[0].near, Some(fleet.worker));
    let out = [(first, fleet.worker)];
    assert_eq!(offered_together(&fleet, 1, 0, &out).await, [None], "the offer is out");
    let seq: i32 =
        fleet.client.query_one("SELECT dispatch_seq FROM job WHERE id = $1", &[&first.uuid()]).await.unwrap().get(0);
    fleet.claim(&drydock_domain::Ticket::new(first, seq, "default".to_owned(), 0)).await;
    assert_eq!(offered_together(&fleet, 1, 0, &out).await, [None], "the slot is taken");
}

#[tokio::test]
async fn offers_that_are_out_end_with_the_claim() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    fleet.client.execute("UPDATE worker SET slots = 2 WHERE instance = 'one'", &[]).await.unwrap();
    let (job, _attempt) = {
        fleet.accept(|job| job.read_only = true).await;
        fleet.running().await
    };
    // One slot is taken, and the offer that led to it still counted as out would take the other.
    assert_eq!(offered_together(&fleet, 1, 0, &[(job, fleet.worker)]).await, [Some(fleet.worker)]);
}

#[tokio::test]
async fn with_more_tickets_than_slots_nothing_is_offered() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    fleet.client.execute("UPDATE worker SET slots = 2 WHERE instance = 'one'", &[]).await.unwrap();
    assert_eq!(offered_together(&fleet, 3, 1, &[]).await, [None, None, None]);
}

#[tokio::test]
async fn what_runs_takes_a_slot_too() {
    let database = drydock_testing::database().await;
    let fleet = with_version(&database).await;
    fleet.client.execute("UPDATE worker SET slots = 2 WHERE instance = 'one'", &[]).await.unwrap();
    fleet.accept(|job| job.read_only = true).await;
    fleet.running().await;
    assert_eq!(offered_together(&fleet, 2, 1, &[]).await, [None, None]);
}
