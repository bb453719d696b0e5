//! `drydock admin migrate` on real databases.

use secrecy::ExposeSecret as _;

use crate::harness::{Drydock, Ended};

async fn migrate(url: &str, flags: &[&str]) -> Ended {
    let words: Vec<&str> = ["admin", "migrate"].iter().chain(flags).copied().collect();
    Drydock::new(&words).env("DRYDOCK_DATABASE_URL", url).end().await
}

#[tokio::test]
async fn a_database_is_brought_to_the_newest_schema() {
    let database = drydock_testing::empty_database().await;
    let url = database.url.expose_secret();
    let newest = drydock_database::migrate::newest();
    let behind = migrate(url, &["--check"]).await.exit(1);
    assert_eq!(behind.line(), format!("behind: the schema is at 0, this build needs {newest}"));
    let dry = migrate(url, &["--dry-run"]).await.exit(0).text();
    assert!(dry.starts_with("would apply V1__baseline\n"), "{dry}");
    migrate(url, &["--check"]).await.exit(1);
    assert_eq!(migrate(url, &["--stamp"]).await.exit(0).line(), "nothing to stamp: the database is empty");
    let done = migrate(url, &[]).await.exit(0).text();
    assert_eq!(done, dry.replace("would apply", "applied"));
    assert!(done.lines().last().unwrap().starts_with(&format!("applied V{newest}__")), "{done}");
    assert_eq!(
        migrate(url, &["--check"]).await.exit(0).line(),
        format!("the schema is at {newest}, this build needs {newest}")
    );
    assert!(migrate(url, &[]).await.exit(0).line().starts_with("nothing to do"));
}

#[tokio::test]
async fn a_strange_database_is_refused_with_the_differences() {
    let database = drydock_testing::empty_database().await;
    database.client().await.unwrap().batch_execute("CREATE TABLE job (id int)").await.unwrap();
    let refused = migrate(database.url.expose_secret(), &[]).await.exit(5);
    assert!(refused.err.starts_with("error: the database has tables but no migration history"), "{}", refused.err);
    assert!(refused.err.lines().count() > 2 && refused.err.contains("nothing was changed"), "{}", refused.err);
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_by_its_setting() {
    Drydock::new(&["admin", "migrate"]).end().await.exit(3).says("DRYDOCK_DATABASE_URL is not set");
    migrate("nonsense", &[]).await.exit(3).says("DRYDOCK_DATABASE_URL");
    let away = migrate("postgres://u:hidden@127.0.0.1:1/d", &[]).await.exit(6).says("DRYDOCK_DATABASE_URL");
    assert!(!away.err.contains("hidden"));
}
