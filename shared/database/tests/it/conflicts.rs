//! Transactions that PostgreSQL undoes for another one's sake are tried again, a few times; what took too long is not.

use std::time::{Duration, Instant};

use drydock_database::{
    DatabaseError, again,
    error::Conflict,
    job::{self, Claimed, Finished, NewJob},
    worker,
};
use drydock_domain::{JobType, Outcome, TenantId, WorkerId};
use drydock_testing::violations;
use prometheus::{Encoder as _, TextEncoder};
use tokio_postgres::error::SqlState;

use crate::support::{Fleet, TTL, describe, tree};

/// Raises an error in every transaction that writes to a table, for as many times as told. A sequence goes on counting through
/// what is rolled back.
const FAULTS: &str = "
  CREATE SEQUENCE fault;
  CREATE TABLE fault_plan (code text, times bigint);
  INSERT INTO fault_plan VALUES ('', 0);
  CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE plan fault_plan;
  BEGIN
    SELECT * INTO plan FROM fault_plan;
    IF plan.code <> '' AND nextval('fault') <= plan.times THEN
      RAISE EXCEPTION 'injected' USING ERRCODE = plan.code;
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER fault AFTER INSERT OR UPDATE ON job FOR EACH STATEMENT EXECUTE FUNCTION fault();
  CREATE TRIGGER fault AFTER INSERT OR UPDATE ON worker FOR EACH STATEMENT EXECUTE FUNCTION fault();";

/// From now on the next `times` writing statements fail with `code`.
async fn inject(fleet: &Fleet, code: &SqlState, times: i64) {
    fleet.client.batch_execute("ALTER SEQUENCE fault RESTART").await.unwrap();
    let plan = "UPDATE fault_plan SET code = $1, times = $2";
    fleet.client.execute(plan, &[&code.code(), &times]).await.unwrap();
}

/// How often a fault was raised or could have been since [`inject`]; ends it.
async fn met(fleet: &Fleet) -> i64 {
    let row = fleet.client.query_one("SELECT last_value, is_called FROM fault", &[]).await.unwrap();
    fleet.client.execute("UPDATE fault_plan SET code = ''", &[]).await.unwrap();
    if row.get("is_called") { row.get("last_value") } else { 0 }
}

async fn faulty(fleet: &Fleet) {
    fleet.client.batch_execute(FAULTS).await.unwrap();
}

/// The counter of one kind and outcome.
fn counted(registry: &prometheus::Registry, kind: Conflict, outcome: &str) -> u64 {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    let kind = if kind == Conflict::Deadlock { "deadlock" } else { "serialization" };
    let start = format!("drydock_database_conflicts_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} ");
    let text = String::from_utf8(text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

/// Red when nothing is tried again, and when a transition goes past `again`.
#[tokio::test]
async fn t45_every_transition_that_postgres_undoes_is_tried_again() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    faulty(&fleet).await;
    let registry = prometheus::Registry::new();
    again::register(&registry).unwrap();
    for (code, kind) in [
        (SqlState::T_R_DEADLOCK_DETECTED, Conflict::Deadlock),
        (SqlState::T_R_SERIALIZATION_FAILURE, Conflict::Serialization),
    ] {
        let before = counted(&registry, kind, "repeated");
        let next = || inject(&fleet, &code, 3);
        next().await;
        let job = fleet.plain().await;
        next().await;
        let ticket = fleet.admit().await.remove(0);
        next().await;
        assert!(job::return_ticket(&fleet.client, &ticket, Duration::ZERO).await.unwrap());
        next().await;
        let ticket = fleet.admit().await.remove(0);
        next().await;
        let ticket = job::redispatch(&fleet.client, fleet.term, &[ticket.job], TTL, 100).await.unwrap().remove(0);
        next().await;
        let (attempt, claimed) = fleet.claim(&ticket).await;
        assert!(matches!(claimed, Claimed::Mine(claim) if claim.number == 1));
        next().await;
        let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &[]).await.unwrap();
        assert_eq!(renewed.owned, [(attempt, false)]);
        next().await;
        assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
        let cancelled = fleet.plain().await;
        next().await;
        let answer = job::cancel(&fleet.client, TenantId::DEFAULT, cancelled, None).await.unwrap();
        assert_eq!(answer, job::Canceled::Now);
        next().await;
        worker::start(&fleet.client, &describe(WorkerId::generate(), code.code()), TTL).await.unwrap();
        assert_eq!(counted(&registry, kind, "repeated") - before, 10 * 3, "three times each");
    }
    assert_eq!(violations(&fleet.client).await, Vec::<String>::new());
}

/// Red when it is tried for ever (no limit), and when the pauses are longer than they need be.
#[tokio::test]
async fn t45_it_gives_up_after_five_tries_and_tries_nothing_again_that_took_too_long() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    faulty(&fleet).await;
    let new = || NewJob::new(fleet.project, JobType::Edit, "t".to_owned(), "do it".to_owned());
    let accept = async || job::accept(&fleet.client, TenantId::DEFAULT, &new()).await.unwrap_err();
    for code in [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE] {
        inject(&fleet, &code, i64::MAX).await;
        let began = Instant::now();
        let error = accept().await;
        assert_eq!((code_of(&error), met(&fleet).await), (Some(code), i64::from(again::TRIES)));
        assert!(error.is_unavailable(), "its caller may come again later");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    // A statement's time, a lock's, a lost connection: once.
    for code in [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE, SqlState::ADMIN_SHUTDOWN] {
        inject(&fleet, &code, i64::MAX).await;
        let error = accept().await;
        assert_eq!((code_of(&error), met(&fleet).await), (Some(code), 1));
    }
    // In a transaction of the caller's, which is over with its first failure: what is told is why.
    inject(&fleet, &SqlState::T_R_DEADLOCK_DETECTED, i64::MAX).await;
    let mut client = database.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let error = job::accept(&transaction, TenantId::DEFAULT, &new()).await.unwrap_err();
    assert_eq!((error.conflict(), met(&fleet).await), (Some(Conflict::Deadlock), 1));
}

fn code_of(error: &DatabaseError) -> Option<SqlState> {
    let DatabaseError::Query { source, .. } = error else { return None };
    source.code().cloned()
}

/// A real one: a batch over two projects, and somebody who locks them in the other order. Red when nothing is tried again.
#[tokio::test]
async fn t45_a_real_deadlock_costs_a_batch_nothing() {
    let database = drydock_testing::database().await;
    let registry = prometheus::Registry::new();
    again::register(&registry).unwrap();
    let before = counted(&registry, Conflict::Deadlock, "repeated");
    let one = Fleet::new(&database).await;
    let two = one.another_project(&database).await;
    let mut projects = [one.project, two.project];
    projects.sort_unstable_by_key(|project| project.uuid());
    let jobs = projects.map(|project| NewJob::new(project, JobType::Edit, "t".to_owned(), "do it".to_owned()));
    let mut other = database.client().await.unwrap();
    let other = other.transaction().await.unwrap();
    let lock = "SELECT 1 FROM project WHERE id = $1 FOR UPDATE";
    other.execute(lock, &[&projects[1].uuid()]).await.unwrap();
    // It notices first, so it is the one that is undone.
    one.client.batch_execute("SET deadlock_timeout = '300ms'").await.unwrap();
    let accepting = job::accept_all(&one.client, TenantId::DEFAULT, &jobs);
    let locking = async {
        let waits = "SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'";
        drydock_testing::until("the batch waits", Duration::from_secs(20), async || {
            (two.client.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
        })
        .await;
        other.execute(lock, &[&projects[0].uuid()]).await.unwrap();
        other.commit().await.unwrap();
    };
    let (accepted, ()) = tokio::join!(accepting, locking);
    let expected: Vec<_> = jobs.iter().map(|job| job::Accepted::New(job.id)).collect();
    assert_eq!(accepted.unwrap(), expected);
    assert!(counted(&registry, Conflict::Deadlock, "repeated") > before, "there was a deadlock");
}
