//! PostgreSQL fails over to its standby under load. Clients keep one address, which moves, as a virtual one would.
//!
//! The link between the two breaks first and the primary dies later: so what was answered without the standby is really gone.

use drydock_testing::{PostgresServer, Proxy, TestDatabase, until, violations};

use crate::{
    load::Load,
    stack::{Options, PATIENCE, Stack},
};

/// A primary, the standby that follows it, the link between them, and the clients' way.
pub(crate) struct Pair {
    pub(crate) primary: PostgresServer,
    pub(crate) standby: PostgresServer,
    pub(crate) link: Proxy,
    pub(crate) way: Proxy,
}

impl Pair {
    /// The standby's clock differs by `skew` seconds.
    pub(crate) async fn start(skew: f64) -> (Self, TestDatabase) {
        let primary = PostgresServer::start().await;
        let (link, way) = (Proxy::start(primary.address()).await, Proxy::start(primary.address()).await);
        let database = primary.migrated(&way.address().to_string()).await;
        let standby = primary.standby(&link.address().to_string(), skew).await;
        (Self { primary, standby, link, way }, database)
    }

    /// Clients are led to the standby before it takes writes, as they often are.
    pub(crate) async fn fail_over(&mut self) {
        self.primary.crash().await;
        self.way.redirect(self.standby.address());
        self.standby.promote().await;
    }
}

/// Every job the database has is over, and its rules hold.
async fn settles(stack: &Stack) {
    let waiting = "SELECT count(*) FROM job WHERE finished_at IS NULL";
    until("every job is over", PATIENCE, || async {
        let row = stack.database.client().await.ok()?.query_one(waiting, &[]).await.ok()?;
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(violations(&stack.database.client().await.unwrap()).await, Vec::<String>::new());
}

/// Those of `jobs` that did not complete, or are not there.
async fn not_completed(stack: &Stack, jobs: &[String]) -> Vec<String> {
    let sql = "SELECT id::text FROM unnest($1::text[]) AS u (id)
      WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.id = u.id::uuid AND state = 'succeeded')";
    let rows = stack.database.client().await.unwrap().query(sql, &[&jobs]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Red when commits wait for nobody but the primary (`synchronous_commit=local` in the pool's options): jobs answered with 202
/// are not there, and attempts that agents saw are given out again. (An admission may be lost, since it is committed
/// asynchronously; its ticket's number then comes again, but no claim with it was ever answered.)
#[tokio::test(flavor = "multi_thread")]
async fn t42_a_synchronous_standby_takes_over_with_every_accepted_job_and_no_attempt_twice() {
    let (mut pair, database) = Pair::start(0.0).await;
    pair.primary.wait_for_standby().await;
    // A limit on statements must not end the wait for the standby.
    let settings = vec![("DRYDOCK_DATABASE_STATEMENT_TIMEOUT", "1s".to_owned())];
    let stack = Stack::on(database, Options { settings, ..Options::default() }).await;
    let load = Load::start(&stack, 4).await;
    load.accepts(15).await;
    pair.link.stall();
    let before = load.accepted().len();
    let primary = pair.primary.client().await;
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'
      AND query ~ 'accept' AND clock_timestamp() > query_start + interval '1500 ms'";
    until("acceptances wait for the standby, or are answered without it", PATIENCE, || async {
        let stuck: i64 = primary.query_one(stuck, &[]).await.unwrap().get(0);
        (stuck > 0 || load.accepted().len() > before + 10).then_some(())
    })
    .await;
    pair.fail_over().await;
    load.accepts(15).await;
    let accepted = load.stop().await;
    settles(&stack).await;
    assert_eq!(not_completed(&stack, &accepted).await, Vec::<String>::new(), "of {}", accepted.len());
    load.assert_no_attempt_twice();
}
