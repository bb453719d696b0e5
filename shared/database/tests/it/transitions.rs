//! Each transition, its refusals, and the constraints behind them.

use drydock_database::{
    attempt,
    job::{self, Claimed, Finished},
    worker,
};
use drydock_domain::{AttemptId, Outcome, Phase, WorkerId};

use crate::support::{Fleet, TTL, describe, tree};

#[tokio::test]
async fn one_job_goes_all_the_way_and_hands_its_lane_over() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let (first, second) = (fleet.plain().await, fleet.plain().await);
    assert_eq!((fleet.state(first).await, fleet.state(second).await), ("queued".into(), "pending".into()));
    let (job, attempt) = fleet.running().await;
    assert_eq!(job, first);
    let finish = || fleet.finish(job, attempt, Outcome::Succeeded, Some(&TREE));
    assert_eq!(finish().await, Finished::Ok);
    assert_eq!(finish().await, Finished::Already, "a repeated finish changes nothing");
    assert_eq!((fleet.state(first).await, fleet.state(second).await), ("succeeded".into(), "queued".into()));
    assert_eq!(fleet.head().await, 1);
    let (job, attempt) = fleet.running().await;
    assert_eq!(job, second);
    let again = fleet.finish(job, attempt, Outcome::Succeeded, None).await;
    assert_eq!((again, fleet.head().await), (Finished::Ok, 1), "a job that changed nothing makes no version");
}

#[tokio::test]
async fn stale_and_duplicate_tickets_claim_nothing_and_a_repeated_claim_answers_the_same() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    let old = fleet.admit().await.remove(0);
    let fresh = job::redispatch(&fleet.client, fleet.term, &[old.job], TTL, 10).await.unwrap().remove(0);
    assert_eq!(fresh.seq, old.seq + 1);
    assert!(matches!(fleet.claim(&old).await.1, Claimed::Stale));
    let attempt = AttemptId::generate();
    for _ in 0..2 {
        let claimed = job::claim(&fleet.client, &fresh, attempt, fleet.worker, "/x").await.unwrap();
        assert!(matches!(claimed, Claimed::Mine(claim) if claim.number == 1));
    }
    assert!(matches!(fleet.claim(&fresh).await.1, Claimed::Stale), "another attempt on the same ticket");
}

#[tokio::test]
async fn a_worker_that_is_over_or_draining_claims_nothing() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    let ticket = fleet.admit().await.remove(0);
    worker::drain(&fleet.client, fleet.worker).await.unwrap();
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Refused));
    let successor = WorkerId::generate();
    worker::start(&fleet.client, &describe(successor, "one"), TTL).await.unwrap();
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Refused), "its successor ended it");
    let claimed = job::claim(&fleet.client, &ticket, AttemptId::generate(), successor, "/x").await.unwrap();
    assert!(matches!(claimed, Claimed::Mine(_)));
}

#[tokio::test]
async fn a_lost_attempt_is_fenced_and_the_job_runs_again() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    assert_eq!(attempt::reap(&fleet.client, attempt, TTL).await.unwrap(), "alive");
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    assert_eq!(attempt::orphaned(&fleet.client, 10).await.unwrap(), [attempt]);
    assert_eq!(attempt::reap(&fleet.client, attempt, TTL).await.unwrap(), "queued");
    assert_eq!(attempt::reap(&fleet.client, attempt, TTL).await.unwrap(), "moved_on");
    let late = fleet.finish(job, attempt, Outcome::Succeeded, Some(&TREE)).await;
    assert_eq!((late, fleet.head().await), (Finished::Fenced, 0));
    worker::start(&fleet.client, &describe(WorkerId::generate(), "two"), TTL).await.unwrap();
    assert_eq!(fleet.admit().await.len(), 1, "the first loss requeues at once");
}

#[tokio::test]
async fn an_old_attempt_cannot_touch_its_successor() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, old) = fleet.running().await;
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    attempt::reap(&fleet.client, old, TTL).await.unwrap();
    fleet.worker = WorkerId::generate();
    worker::start(&fleet.client, &describe(fleet.worker, "two"), TTL).await.unwrap();
    let (_, current) = fleet.running().await;
    let late = fleet.finish(job, old, Outcome::Succeeded, Some(&TREE)).await;
    assert_eq!((late, fleet.state(job).await), (Finished::Fenced, "running".into()));
    assert_eq!(attempt::reap(&fleet.client, old, TTL).await.unwrap(), "moved_on");
    assert_eq!(fleet.state(job).await, "running");
    let done = fleet.finish(job, current, Outcome::Succeeded, Some(&TREE)).await;
    assert_eq!((done, fleet.head().await), (Finished::Ok, 1));
}

#[tokio::test]
async fn three_losses_are_the_end() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    for state in ["queued", "queued", "dead"] {
        fleet.end_back_off(job).await;
        let worker = WorkerId::generate();
        worker::start(&fleet.client, &describe(worker, "one"), TTL).await.unwrap();
        let ticket = fleet.admit().await.remove(0);
        let attempt = AttemptId::generate();
        job::claim(&fleet.client, &ticket, attempt, worker, "/x").await.unwrap();
        worker::end(&fleet.client, worker).await.unwrap();
        assert_eq!(attempt::reap(&fleet.client, attempt, TTL).await.unwrap(), state);
    }
    assert_eq!(fleet.state(job).await, "dead");
}

#[tokio::test]
async fn our_faults_do_not_charge_the_job_and_the_agents_failure_is_final() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    for outcome in [Outcome::Infra, Outcome::Interrupted] {
        let (_, attempt) = fleet.running().await;
        fleet.finish(job, attempt, outcome, None).await;
        assert_eq!(fleet.state(job).await, "queued", "{outcome}");
        fleet.end_back_off(job).await;
    }
    let (_, attempt) = fleet.running().await;
    fleet.finish(job, attempt, Outcome::Failed, Some(&TREE)).await;
    assert_eq!((fleet.state(job).await, fleet.head().await), ("failed".into(), 0));
    let kept =
        fleet.client.query_one("SELECT manifest_id FROM attempt WHERE id = $1", &[&attempt.uuid()]).await.unwrap();
    assert_eq!(kept.get::<_, Vec<u8>>(0), [7; 32], "the failed attempt's tree stays readable through it");
}

#[tokio::test]
async fn a_job_that_asks_for_retries_gets_them() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.accept(|job| job.retries = 1).await;
    for state in ["queued", "failed"] {
        let (_, attempt) = fleet.running().await;
        fleet.finish(job, attempt, Outcome::Failed, None).await;
        assert_eq!(fleet.state(job).await, state);
        fleet.end_back_off(job).await;
    }
}

#[tokio::test]
async fn a_moved_head_is_a_conflict_and_a_recorded_cancel_wins() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    fleet.client.execute("UPDATE project SET head_version = 5 WHERE id = $1", &[&fleet.project.uuid()]).await.unwrap();
    let answer = fleet.finish(job, attempt, Outcome::Succeeded, Some(&TREE)).await;
    assert_eq!((answer, fleet.state(job).await), (Finished::Conflict, "queued".into()));
    let (_, attempt) = fleet.running().await;
    fleet.client.execute("UPDATE job SET cancel_at = now() WHERE id = $1", &[&job.uuid()]).await.unwrap();
    let answer = fleet.finish(job, attempt, Outcome::Succeeded, Some(&TREE)).await;
    assert_eq!((answer, fleet.state(job).await, fleet.head().await), (Finished::Ok, "canceled".into(), 5));
}

#[tokio::test]
async fn renewal_tells_what_is_owned_and_what_to_cancel() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    let told = [(attempt, Phase::Running)];
    let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &told).await.unwrap();
    assert_eq!((renewed.live, renewed.owned), (true, vec![(attempt, false)]));
    let event = "SELECT data ->> 'status_detail' FROM event WHERE job_id = $1 ORDER BY xid DESC, id DESC LIMIT 1";
    assert_eq!(fleet.client.query_one(event, &[&job.uuid()]).await.unwrap().get::<_, &str>(0), "running");
    fleet.client.execute("UPDATE job SET cancel_at = now() WHERE id = $1", &[&job.uuid()]).await.unwrap();
    let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &told).await.unwrap();
    assert_eq!(renewed.owned, [(attempt, true)]);
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &told).await.unwrap();
    assert!(!renewed.live && renewed.owned.is_empty());
}

static TREE: std::sync::LazyLock<drydock_database::report::StoredTree> = std::sync::LazyLock::new(|| tree(7));

/// Red when a lease's connection waits for the disk, and when news of phases does not.
#[tokio::test]
async fn a_lease_does_not_wait_for_the_disk_and_news_of_a_phase_does() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    let client = database.for_leases().client().await.unwrap();
    let waits = async || client.query_one("SHOW synchronous_commit", &[]).await.unwrap().get::<_, String>(0);
    for (news, expected) in [(vec![], "off"), (vec![(attempt, Phase::Running)], "on")] {
        client.batch_execute("BEGIN").await.unwrap();
        assert!(worker::renew(&client, fleet.worker, TTL, &news).await.unwrap().live);
        assert_eq!(waits().await, expected);
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(waits().await, "off", "told for one transaction only");
    }
}
