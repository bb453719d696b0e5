//! Leases that mean nothing: PostgreSQL was away for longer than they last, or it is another one, with another clock.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use drydock_testing::{PostgresServer, Proxy, TestDatabase, until, violations};
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    contact::{appears, counting, outcomes, stands_still},
    failover::Pair,
    outages::through_proxy,
    stack::{Options, PATIENCE, Stack, client::id},
};

/// A job that counts in a directory of its own.
struct Counting {
    job: String,
    place: PathBuf,
}

impl Counting {
    async fn start(stack: &Stack, name: &str) -> Self {
        let project = id(&stack.client.project(json!({"instruction": "an app to spare"})).await);
        let place = stack.scratch.path().join(name);
        fs_err::create_dir(&place).unwrap();
        let job = stack.client.submit(&project, crate::stack::client::shell(&counting(&place))).await;
        appears(&place.join("count")).await;
        Self { job, place }
    }

    /// Lets it end, and is content with one attempt only.
    async fn ends_with_one_attempt(&self, stack: &Stack) {
        fs_err::write(self.place.join("end"), "").unwrap();
        let ended = stack.client.ended(&self.job).await;
        assert_eq!((outcomes(&ended), &ended["created_files"]), (vec!["succeeded"], &json!(["done.txt"])), "{ended}");
    }
}

/// A stack whose workers reach the database at a way of their own.
async fn workers_apart(database: TestDatabase, options: Options) -> (Proxy, Stack) {
    let (workers, url) = through_proxy(database.fleet_url().expose_secret()).await;
    let worker_settings = vec![("DRYDOCK_DATABASE_URL", url)];
    (workers, Stack::on(database, Options { worker_settings, ..options }).await)
}

/// Red when the reaper gives no amnesty: the dispatchers are back before the workers, whose leases ran out long ago.
#[tokio::test(flavor = "multi_thread")]
async fn t40_postgres_away_for_longer_than_the_lease_costs_no_attempt() {
    let mut server = PostgresServer::start().await;
    let way = Proxy::start(server.address()).await;
    let database = server.migrated(&way.address().to_string()).await;
    let (workers, stack) = workers_apart(database, Options::default()).await;
    let jobs = join_all(["a", "b", "c", "d"].map(|name| Counting::start(&stack, name))).await;
    server.crash().await;
    let away = Instant::now();
    join_all(jobs.iter().map(|job| stands_still(&job.place))).await;
    workers.cut();
    // Two leases of 3 s: what 3 minutes are to one of 60 s, nearly.
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(away.elapsed())).await;
    server.resume().await;
    let leads = "SELECT expires_at > clock_timestamp() FROM leader";
    let client = server.client().await;
    until("somebody leads again", PATIENCE, || async {
        client.query_one(leads, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
    // Several looks of the reaper, and less than the amnesty of 4 s.
    tokio::time::sleep(Duration::from_secs(2)).await;
    workers.heal();
    join_all(jobs.iter().map(async |job| {
        let before = appears(&job.place.join("count")).await;
        until("it goes on", PATIENCE, || async {
            (fs_err::read_to_string(job.place.join("count")).unwrap() != before).then_some(())
        })
        .await;
        job.ends_with_one_attempt(&stack).await;
    }))
    .await;
    assert_eq!(violations(&stack.database.client().await.unwrap()).await, Vec::<String>::new());
}

/// The lease of the tests below, its grace, and by how much the clocks differ: a fifteenth of 60, 15 and 30 s.
const LEASE: Duration = Duration::from_secs(4);
const GRACE: Duration = Duration::from_secs(1);
const SKEW: Duration = Duration::from_secs(2);

/// A pair whose standby is so many seconds ahead, and a stack whose leader does not ask for its lead while the failover lasts.
async fn skewed(skew: f64) -> (Pair, Proxy, Stack) {
    let (pair, database) = Pair::start(skew).await;
    let settings = [("DRYDOCK_LEASE_TTL", LEASE), ("DRYDOCK_LEASE_GRACE", GRACE), ("DRYDOCK_LEAD_TTL", LEASE * 30)];
    let settings = settings.map(|(name, time)| (name, format!("{}s", time.as_secs()))).to_vec();
    let options = Options { workers: Some(1), settings, ..Options::default() };
    let (workers, stack) = workers_apart(database, options).await;
    // The amnesty of a new leader is over.
    tokio::time::sleep(LEASE + GRACE).await;
    (pair, workers, stack)
}

/// How far ahead of this host the database's clock is, in seconds.
async fn ahead(stack: &Stack) -> f64 {
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let there: f64 = stack.database.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0);
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    there - here.as_secs_f64()
}

/// Red when the amnesty does not ask whether the server is the same: to the new clock the lease is over 2 s early.
#[tokio::test(flavor = "multi_thread")]
async fn t47_a_standby_whose_clock_is_ahead_ends_no_lease_early() {
    let (mut pair, workers, stack) = skewed(SKEW.as_secs_f64()).await;
    let job = Counting::start(&stack, "ahead").await;
    pair.standby.await_caught_up(&pair.primary).await;
    workers.cut();
    let cut = Instant::now();
    pair.fail_over().await;
    assert!(ahead(&stack).await > 1.5, "the standby's clock is ahead");
    // The end of the lease and its grace by a true clock, less the time since the last renewal.
    tokio::time::sleep((LEASE + GRACE - LEASE / 4).saturating_sub(cut.elapsed())).await;
    workers.heal();
    job.ends_with_one_attempt(&stack).await;
}

/// Red when leases that were given by another clock are left alone for ever (nobody is declared over once the server changed).
#[tokio::test(flavor = "multi_thread")]
async fn t47_a_standby_whose_clock_is_behind_keeps_no_lease_for_ever() {
    let (mut pair, workers, mut stack) = skewed(-SKEW.as_secs_f64()).await;
    let job = Counting::start(&stack, "behind").await;
    pair.standby.await_caught_up(&pair.primary).await;
    stack.workers[0].kill();
    let killed = Instant::now();
    pair.fail_over().await;
    assert!(ahead(&stack).await < -1.5, "the standby's clock is behind");
    let client = pair.standby.client().await;
    let ended = "SELECT count(*) FROM worker WHERE ended_at IS NOT NULL";
    until("the worker is declared over", PATIENCE, || async {
        (client.query_one(ended, &[]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    let latest = LEASE + GRACE + SKEW + Duration::from_secs(5);
    assert!(killed.elapsed() < latest, "{:?}", killed.elapsed());
    workers.heal();
    stack.workers[0].restart();
    fs_err::write(job.place.join("end"), "").unwrap();
    assert_eq!(outcomes(&stack.client.ended(&job.job).await), ["lost", "succeeded"]);
}
