//! Applying, stamping and refusing.

use std::time::Duration;

use drydock_database::{
    DatabaseError,
    migrate::{Migrated, Mode, migrate, newest},
    schema,
};

const BASELINE: &str = include_str!("../../../../migrations/V0001__baseline.sql");

#[tokio::test]
async fn an_empty_database_comes_to_the_newest_schema_once() {
    let database = drydock_testing::empty_database().await;
    let client = database.client().await.unwrap();
    assert!(matches!(schema::check(&client).await, Err(DatabaseError::Schema { found: 0, .. })));
    let planned = migrate(&database, Mode::DryRun).await.unwrap();
    assert_eq!(schema::applied(&client).await.unwrap(), 0, "a dry run changes nothing");
    let done = migrate(&database, Mode::Apply).await.unwrap();
    assert!(!done.steps.is_empty() && done.steps == planned.steps, "{done:?}");
    assert_eq!(schema::applied(&client).await.unwrap(), newest());
    schema::check(&client).await.unwrap();
    assert_eq!(
        migrate(&database, Mode::Apply).await.unwrap(),
        Migrated { from: newest(), stamped: None, steps: vec![] }
    );
}

#[tokio::test]
async fn migrators_at_the_same_time_do_not_race() {
    let database = drydock_testing::empty_database().await;
    let planned = migrate(&database, Mode::DryRun).await.unwrap();
    let (first, second) = tokio::join!(migrate(&database, Mode::Apply), migrate(&database, Mode::Apply));
    let applied = first.unwrap().steps.len() + second.unwrap().steps.len();
    assert_eq!(applied, planned.steps.len());
}

#[tokio::test]
async fn an_identical_unstamped_schema_is_recognised_and_brought_to_head() {
    let database = drydock_testing::empty_database().await;
    let client = database.client().await.unwrap();
    client.batch_execute(BASELINE).await.unwrap();
    let stamped = migrate(&database, Mode::Stamp).await.unwrap();
    assert_eq!((stamped.stamped, schema::applied(&client).await.unwrap()), (Some(1), 1));
    let planned = migrate(&database, Mode::DryRun).await.unwrap();
    let done = migrate(&database, Mode::Apply).await.unwrap();
    assert_eq!((done.from, done.steps), (1, planned.steps));
    assert_eq!(schema::applied(&client).await.unwrap(), newest());
}

#[tokio::test]
async fn a_different_unstamped_schema_is_refused_with_the_differences() {
    let database = drydock_testing::empty_database().await;
    let client = database.client().await.unwrap();
    client.batch_execute(BASELINE).await.unwrap();
    client.batch_execute("ALTER TABLE job DROP COLUMN title; CREATE TABLE other (id int)").await.unwrap();
    let refused = migrate(&database, Mode::Apply).await.unwrap_err();
    let DatabaseError::Different(differences) = refused else { panic!("{refused:?}") };
    assert!(differences.contains("missing: column job.title text not null"), "{differences}");
    assert!(differences.contains("unknown: column other.id integer"), "{differences}");
    assert_eq!(schema::applied(&client).await.unwrap(), 0, "nothing was recorded");
    let shadow = client.query_opt("SELECT 1 FROM pg_namespace WHERE nspname = 'drydock_shadow'", &[]).await.unwrap();
    assert!(shadow.is_none(), "the shadow schema was rolled back");
}

#[tokio::test]
async fn an_applied_migration_that_was_edited_is_refused() {
    let database = drydock_testing::empty_database().await;
    migrate(&database, Mode::Apply).await.unwrap();
    let client = database.client().await.unwrap();
    client.batch_execute("UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1").await.unwrap();
    assert!(matches!(migrate(&database, Mode::Apply).await, Err(DatabaseError::Migrate(_))));
}

/// Who waits for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
  (SELECT oid FROM pg_database WHERE datname = current_database())";
const HISTORY: &str = "CREATE TABLE refinery_schema_history(
  version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255))";

/// Red when a migration waits for its lock for as long as it takes.
#[tokio::test]
async fn a_migration_that_waits_for_a_table_lets_others_pass() {
    let database = drydock_testing::empty_database().await;
    let looking = database.client().await.unwrap();
    looking.batch_execute(HISTORY).await.unwrap();
    let mut holding = database.client().await.unwrap();
    // Reads pass, what every migration writes here does not.
    let held = holding.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE refinery_schema_history IN SHARE MODE").await.unwrap();
    let waiting = async |wanted: i64, what: &str| {
        drydock_testing::until(what, Duration::from_secs(30), || async {
            let row = looking.query_one(WAITING, &[]).await.ok()?;
            (row.get::<_, i64>(0) == wanted).then_some(())
        })
        .await;
    };
    let others = async {
        waiting(1, "the migration waits").await;
        waiting(0, "it lets others pass").await;
        held.commit().await.unwrap();
    };
    let (done, ()) = tokio::join!(migrate(&database, Mode::Apply), others);
    let done = done.unwrap();
    assert!(!done.steps.is_empty());
    assert_eq!(schema::applied(&looking).await.unwrap(), newest());
}
