//! What is counted and shown of pools, and workers that are asked to drain.

use std::time::Duration;

use drydock_database::{
    job::{self, Claimed},
    pool_count::{self, PoolCount},
    worker::{self, DrainAsked},
    worker_list,
};
use drydock_domain::{AttemptId, Outcome, WorkerId};

use crate::support::{Fleet, TTL, describe};

async fn counted(fleet: &Fleet, pool: &str) -> PoolCount {
    let pools = pool_count::count(&fleet.client).await.unwrap();
    pools.into_iter().find(|count| count.pool == pool).expect("it is counted")
}

#[tokio::test]
async fn pools_are_counted_by_state_with_the_longest_wait() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    assert_eq!(pool_count::list(&fleet.client, None, 10).await.unwrap()[0].jobs, None, "not counted yet");
    // One runs, one waits behind it; of another project one waits for a slot, one for its time, one pauses.
    fleet.plain().await;
    fleet.running().await;
    fleet.plain().await;
    let waits = fleet.another_project(&database).await.plain().await;
    let sql = "UPDATE job SET queued_at = queued_at - interval '90 s' WHERE id = $1";
    fleet.client.execute(sql, &[&waits.uuid()]).await.unwrap();
    fleet.another_project(&database).await.plain().await;
    let later = fleet.another_project(&database).await;
    later.accept(|job| job.run_at = Some(chrono::Utc::now() + Duration::from_secs(600))).await;
    let elsewhere = fleet.another_project(&database).await;
    let sql = "UPDATE job SET pool = 'gpu' WHERE id = $1";
    fleet.client.execute(sql, &[&elsewhere.plain().await.uuid()]).await.unwrap();
    let count = counted(&fleet, "default").await;
    let PoolCount { slots, scheduled, pending, queued, backing_off, dispatched, running, .. } = count;
    assert_eq!([slots, scheduled, pending, queued, backing_off, dispatched, running], [4, 1, 1, 2, 0, 0, 1]);
    assert_eq!(count.demand(), 3, "what is pending needs no slot of its own");
    assert!((90.0..150.0).contains(&count.oldest_wait_s()), "{count:?}");
    let gpu = counted(&fleet, "gpu").await;
    assert_eq!((gpu.slots, gpu.queued), (0, 1));
    // A ticket that is out is still a wait.
    assert_eq!(fleet.admit().await.len(), 2);
    let count = counted(&fleet, "default").await;
    assert_eq!((count.queued, count.dispatched), (0, 2));
    assert!(count.oldest_wait_s() >= 90.0, "{count:?}");
}

#[tokio::test]
async fn a_pool_of_which_nothing_is_left_counts_0_for_a_month() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    assert_eq!(counted(&fleet, "default").await.queued, 1);
    job::cancel(&fleet.client, drydock_domain::TenantId::DEFAULT, job, None).await.unwrap();
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    let count = counted(&fleet, "default").await;
    assert_eq!((count.queued, count.slots, count.oldest_wait_s()), (0, 0, 0.0));
    let pools = pool_count::list(&fleet.client, None, 10).await.unwrap();
    assert_eq!((pools.len(), pools[0].live, pools[0].jobs.as_ref()), (1, 0, Some(&count)));
    let sql = "UPDATE pool_count SET seen_at = seen_at - interval '31 days'";
    fleet.client.execute(sql, &[]).await.unwrap();
    assert_eq!(pool_count::count(&fleet.client).await.unwrap(), []);
}

#[tokio::test]
async fn a_pool_shows_its_workers_by_state_and_the_slots_of_those_that_take_jobs() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    fleet.running().await;
    for (name, ttl) in [("two", TTL), ("three", TTL), ("four", Duration::ZERO)] {
        worker::start(&fleet.client, &describe(WorkerId::generate(), name), ttl).await.unwrap();
    }
    let mut other = describe(WorkerId::generate(), "five");
    (other.pool, other.agents) = ("gpu".to_owned(), vec!["codex".to_owned()]);
    worker::start(&fleet.client, &other, TTL).await.unwrap();
    let list = worker_list::list(&fleet.client, Some("default"), 10).await.unwrap();
    let two = list.iter().find(|worker| worker.instance == "two").unwrap().id;
    worker::ask_to_drain(&fleet.client, two, true).await.unwrap();
    let pools = pool_count::list(&fleet.client, None, 10).await.unwrap();
    let states = |n: usize| (pools[n].live, pools[n].draining, pools[n].drained, pools[n].lost);
    assert_eq!((pools[0].name.as_str(), states(0)), ("default", (2, 0, 1, 1)));
    assert_eq!((pools[0].slots, pools[0].busy), (8, 1));
    assert_eq!(pools[0].agents, ["command", "dummy"]);
    assert_eq!((pools[1].name.as_str(), states(1), &pools[1].agents[..]), ("gpu", (1, 0, 0, 0), &["codex".into()][..]));
    worker::ask_to_drain(&fleet.client, fleet.worker, true).await.unwrap();
    let pools = pool_count::list(&fleet.client, Some("default"), 10).await.unwrap();
    assert_eq!((pools.len(), pools[0].draining, pools[0].slots, pools[0].busy), (1, 1, 4, 0));
}

/// Red where the function forgets who it was asked by, where the renewal does not tell, and where a stop can be taken back.
#[tokio::test]
async fn a_worker_that_is_asked_to_drain_claims_nothing_until_it_is_asked_no_longer() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let ask = async |wanted| worker::ask_to_drain(&fleet.client, fleet.worker, wanted).await.unwrap();
    let told = async || worker::renew(&fleet.client, fleet.worker, TTL, &[]).await.unwrap().drained;
    let (attempt, other) = (fleet.plain().await, fleet.another_project(&database).await);
    let running = fleet.running().await.1;
    other.plain().await;
    let ticket = fleet.admit().await.remove(0);
    assert!(!told().await);
    assert_eq!((ask(true).await, ask(true).await), (DrainAsked::Done, DrainAsked::Done));
    let since = worker_list::find(&fleet.client, fleet.worker).await.unwrap().unwrap();
    assert!(since.draining && since.drain_asked_at.is_some());
    ask(true).await;
    let again = worker_list::find(&fleet.client, fleet.worker).await.unwrap().unwrap();
    assert_eq!(again.drain_asked_at, since.drain_asked_at, "repeating it changes nothing");
    assert!(told().await);
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Refused));
    fleet.finish(attempt, running, Outcome::Succeeded, None).await;
    assert_eq!((ask(false).await, ask(false).await), (DrainAsked::Done, DrainAsked::Done));
    assert!(!told().await);
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Mine(_)));
    // It stops, whatever it was asked before.
    ask(true).await;
    worker::drain(&fleet.client, fleet.worker).await.unwrap();
    assert_eq!((ask(true).await, ask(false).await), (DrainAsked::Done, DrainAsked::Stopping));
    assert!(!told().await, "it knows that it stops");
    // Its next start is another worker.
    let successor = WorkerId::generate();
    worker::start(&fleet.client, &describe(successor, "one"), TTL).await.unwrap();
    assert_eq!(ask(true).await, DrainAsked::NoWorker);
    assert!(!worker_list::find(&fleet.client, successor).await.unwrap().unwrap().draining);
    let unknown = worker::ask_to_drain(&fleet.client, WorkerId::from(AttemptId::generate().uuid()), false).await;
    assert_eq!(unknown.unwrap(), DrainAsked::NoWorker);
}

/// Red where what runs on a worker that drains takes the slots of the others.
#[tokio::test]
async fn a_worker_that_drains_costs_its_pool_no_more_than_its_own_slots() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.client.execute("UPDATE worker SET slots = 1", &[]).await.unwrap();
    fleet.plain().await;
    fleet.running().await;
    worker::ask_to_drain(&fleet.client, fleet.worker, true).await.unwrap();
    fleet.another_project(&database).await.plain().await;
    assert_eq!(fleet.admit().await, [], "nobody else is there");
    let mut other = describe(WorkerId::generate(), "two");
    other.slots = 1;
    worker::start(&fleet.client, &other, TTL).await.unwrap();
    assert_eq!(fleet.admit().await.len(), 1);
    fleet.another_project(&database).await.plain().await;
    assert_eq!(fleet.admit().await, [], "its one slot is promised");
}
