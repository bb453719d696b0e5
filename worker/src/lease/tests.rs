//! The lease against a real PostgreSQL.

use std::time::Duration;

use drydock_domain::{AttemptId, Isolation};
use drydock_testing::{Proxy, TestDatabase, until};
use secrecy::ExposeSecret as _;

use super::*;
use crate::running::Stop;

const TTL: Duration = Duration::from_millis(900);
const PATIENCE: Duration = Duration::from_secs(20);

struct Kept {
    lease: Lease,
    identity: Identity,
    running: Running,
    metrics: WorkerMetrics,
    shutdown: Shutdown,
}

impl Kept {
    async fn of(database: Database, on_lost_contact: OnLostContact, freeze_limit: Duration) -> Self {
        let (running, shutdown) = (Running::default(), Shutdown::new());
        let metrics = WorkerMetrics::register(&prometheus::Registry::new()).unwrap();
        let setup = Setup {
            terms: Terms { ttl: TTL, on_lost_contact, freeze_limit },
            database,
            describe: Box::new(|id| NewWorker {
                id,
                instance: "here".to_owned(),
                pool: "default".to_owned(),
                slots: 1,
                session_slots: 1,
                agents: vec!["dummy".to_owned()],
                labels: serde_json::json!({}),
                isolation: Isolation::None,
                rung: "copy".to_owned(),
                refused_rungs: serde_json::json!({}),
                build: "test".to_owned(),
            }),
            running: running.clone(),
            cordon: Cordon::new(metrics.draining.clone()),
            waker: Waker::default(),
            metrics: metrics.clone(),
            unknown: mpsc::unbounded_channel().0,
        };
        let (lease, identity) = Lease::take(setup, &shutdown).await.unwrap();
        Self { lease, identity, running, metrics, shutdown }
    }

    async fn release(self) {
        self.lease.release().await;
        assert!(!self.shutdown.is_triggered());
    }
}

/// Milliseconds left of the newest lease, by the database's clock.
async fn left(client: &drydock_database::Client) -> f64 {
    const LEFT: &str = "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 * 1000 AS left FROM worker
        ORDER BY id DESC LIMIT 1";
    client.query_one(LEFT, &[]).await.unwrap().get("left")
}

async fn behind_proxy(database: &TestDatabase) -> (Proxy, Database) {
    let url = database.url.expose_secret();
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(host.to_owned()).await;
    let through = format!("{user}@{}/{name}", proxy.address()).into();
    (proxy, Database::new(&drydock_database::DatabaseConfig::default(), &through).unwrap())
}

#[tokio::test]
async fn t36_a_full_pool_and_a_busy_runtime_do_not_delay_the_renewal() {
    let database = drydock_testing::database().await;
    let kept = Kept::of(database.database.clone(), OnLostContact::Freeze, PATIENCE).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(database.client().await.unwrap());
    }
    // The one thread of this test's runtime does nothing else.
    std::thread::sleep(TTL * 3);
    let left = left(&clients[0]).await;
    assert!(left > 0.0, "{left}");
    kept.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t29_without_contact_agents_freeze_before_the_lease_is_over() {
    let database = drydock_testing::database().await;
    let (proxy, through) = behind_proxy(&database).await;
    let kept = Kept::of(through, OnLostContact::Freeze, PATIENCE).await;
    let attempt = kept.running.register(AttemptId::generate());
    attempt.finishing();
    let client = database.client().await.unwrap();
    tokio::time::sleep(TTL / 3).await;
    kept.lease.renew_now().notify_one();
    until("a renewal", PATIENCE, || async { (left(&client).await > TTL.as_millis() as f64 * 0.9).then_some(()) }).await;
    proxy.cut();
    until("it is frozen", PATIENCE, || async { attempt.permit.hold.is_held().then_some(()) }).await;
    let left = left(&database.client().await.unwrap()).await;
    assert!(left > 0.0, "frozen {left} ms before the lease's end");
    assert_eq!(attempt.permit.stop.reason(), None);
    proxy.heal();
    until("it goes on", PATIENCE, || async { (!attempt.permit.hold.is_held()).then_some(()) }).await;
    assert_eq!((kept.metrics.outages.agents_frozen.get(), kept.metrics.outages.agents_thawed.get()), (1, 1));
    kept.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_what_is_not_ours_any_more_is_killed_on_contact_and_never_thawed() {
    let database = drydock_testing::database().await;
    let (proxy, through) = behind_proxy(&database).await;
    let kept = Kept::of(through, OnLostContact::Freeze, PATIENCE).await;
    proxy.cut();
    // Nobody ever claimed it: to the database it is as one that was reaped.
    let attempt = kept.running.register(AttemptId::generate());
    until("it is frozen", PATIENCE, || async { attempt.permit.hold.is_held().then_some(()) }).await;
    proxy.heal();
    until("it is told", PATIENCE, || async { attempt.permit.stop.reason() }).await;
    assert_eq!(attempt.permit.stop.reason(), Some(Stop::Lost));
    assert!(attempt.permit.hold.is_held());
    assert_eq!((kept.metrics.outages.agents_thawed.get(), kept.metrics.outages.agents_killed.get()), (0, 1));
    kept.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_for_too_long_agents_are_killed() {
    let database = drydock_testing::database().await;
    let (proxy, through) = behind_proxy(&database).await;
    let kept = Kept::of(through, OnLostContact::Freeze, TTL).await;
    let attempt = kept.running.register(AttemptId::generate());
    attempt.finishing();
    proxy.cut();
    until("it is told", PATIENCE, || async { attempt.permit.stop.reason() }).await;
    assert_eq!((kept.metrics.outages.agents_frozen.get(), kept.metrics.outages.agents_killed.get()), (1, 1));
    kept.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_that_is_chosen_agents_are_killed_at_once() {
    let database = drydock_testing::database().await;
    let (proxy, through) = behind_proxy(&database).await;
    let kept = Kept::of(through, OnLostContact::Kill, PATIENCE).await;
    let attempt = kept.running.register(AttemptId::generate());
    attempt.finishing();
    proxy.cut();
    until("it is told", PATIENCE, || async { attempt.permit.stop.reason() }).await;
    assert_eq!((attempt.permit.hold.is_held(), kept.metrics.outages.agents_frozen.get()), (false, 0));
    kept.release().await;
}

#[tokio::test]
async fn a_worker_that_was_declared_over_starts_as_another_and_kills_what_it_ran() {
    let database = drydock_testing::database().await;
    let mut kept = Kept::of(database.database.clone(), OnLostContact::Freeze, PATIENCE).await;
    let (first, attempt) = (*kept.identity.borrow_and_update(), kept.running.register(AttemptId::generate()));
    worker::end(&database.client().await.unwrap(), first).await.unwrap();
    kept.lease.renew_now().notify_one();
    kept.identity.changed().await.unwrap();
    assert_ne!(*kept.identity.borrow(), first);
    assert_eq!(attempt.permit.stop.reason(), Some(Stop::Lost));
    kept.release().await;
}
