//! A PostgreSQL of the test's own, on a free port with its own data: to be crashed, started again, copied to a standby that
//! follows it, and replaced by that standby. Clients that shall survive this reach it through a [`crate::Proxy`], which is
//! redirected at a promotion as a virtual address would be.

mod command;
mod home;

use std::{
    process::Child,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio_postgres::Client;
use uuid::Uuid;

use self::home::Home;
use crate::postgres::{TestDatabase, bring_up, connect};

/// How long a server may take to start, to copy itself or to be promoted on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The database that tests use.
const DATABASE: &str = "drydock";

/// A private server; stopped and removed with this value.
pub struct PostgresServer {
    home: Home,
    password: String,
    port: u16,
    running: Option<Child>,
}

impl PostgresServer {
    /// A new cluster with an empty database, up and reachable.
    pub async fn start() -> Self {
        let (home, password) = (Home::create(), Uuid::now_v7().simple().to_string());
        home.initialise(&password).await;
        let mut server = Self { port: crate::free_port(), home, password, running: None };
        server.resume().await;
        let admin = connect(&server.url(&server.address(), "postgres")).await;
        admin.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.expect("the superuser may create databases");
        server
    }

    /// A server with the newest schema; the database is reached at `through`, a proxy's address, and stays when dropped.
    pub async fn migrated(&self, through: &str) -> TestDatabase {
        let url = self.url(&self.address(), DATABASE);
        bring_up(&url).await;
        TestDatabase::lent(self.url(through, DATABASE))
    }

    /// A standby that follows this server at `through`, caught up so far. Its clock differs by `skew` seconds.
    pub async fn standby(&self, through: &str, skew: f64) -> Self {
        let home = Home::create();
        home.copy_from(&self.replication(through)).await;
        let mut standby =
            Self { port: crate::free_port(), home: home.skewed(skew), password: self.password.clone(), running: None };
        standby.resume().await;
        standby.await_caught_up(self).await;
        standby
    }

    /// From now on a commit is answered when the standby has it too; waits until that is so.
    pub async fn wait_for_standby(&self) {
        let client = self.client().await;
        for sql in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
            client.batch_execute(sql).await.expect("the superuser may change settings");
        }
        let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        crate::until("the standby is waited for", PATIENCE, || async {
            let row = client.query_one(synchronous, &[]).await.expect("the server answers");
            (row.get::<_, i64>(0) > 0).then_some(())
        })
        .await;
    }

    /// Waits until this standby has replayed what `primary` has committed by now.
    pub async fn await_caught_up(&self, primary: &Self) {
        let now = primary.client().await.query_one("SELECT pg_current_wal_lsn()::text", &[]).await;
        let now: String = now.expect("the server leads").get(0);
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{now}'");
        let client = self.client().await;
        crate::until("the standby has caught up", PATIENCE, || async {
            client.query_one(&replayed, &[]).await.expect("the server answers").get::<_, bool>(0).then_some(())
        })
        .await;
    }

    /// Ends it as a crash of its host would, but for what the kernel keeps: no checkpoint, no good-bye.
    pub async fn crash(&mut self) {
        if let Some(mut child) = self.running.take() {
            self.home.control(&["stop", "--mode=immediate"]).await;
            child.wait().expect("a child of ours can be waited for");
        }
    }

    /// Starts it again on its data and port.
    pub async fn resume(&mut self) {
        let mut child = self.home.spawn(self.port);
        let (url, began) = (self.url(&self.address(), "postgres"), Instant::now());
        loop {
            let ended = child.try_wait().expect("a child of ours can be waited for");
            assert!(ended.is_none(), "PostgreSQL ended with {ended:?}:\n{}", self.home.log());
            let config: tokio_postgres::Config = secrecy::ExposeSecret::expose_secret(&url).parse().expect("made here");
            if config.connect(tokio_postgres::NoTls).await.is_ok() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start:\n{}", self.home.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.running = Some(child);
    }

    /// Makes a standby the primary; returns when it takes writes.
    pub async fn promote(&self) {
        self.home.control(&["promote"]).await;
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection straight to the test's database.
    pub async fn client(&self) -> Client {
        connect(&self.url(&self.address(), DATABASE)).await
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        self.home.log()
    }

    fn url(&self, address: &str, database: &str) -> SecretString {
        format!("postgres://postgres:{}@{address}/{database}", self.password).into()
    }

    fn replication(&self, through: &str) -> String {
        format!("postgres://postgres:{}@{through}/postgres", self.password)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            if !self.home.stop_now() {
                let _already_ended = child.kill();
            }
            let _reaped = child.wait();
        }
    }
}
