//! What a service says when it cannot start: which setting to look at, and an exit code that tells why.

use std::process::Command;

use secrecy::ExposeSecret as _;

use crate::stack::{binary, free_port};

/// Settings that work, to be spoilt one at a time.
fn settings(database: &drydock_testing::TestDatabase) -> Vec<(&'static str, String)> {
    let storage = drydock_testing::storage_config();
    vec![
        ("DRYDOCK_DATABASE_URL", database.fleet_url().expose_secret().to_owned()),
        ("DRYDOCK_AMQP_URL", drydock_testing::setting("DRYDOCK_TEST_AMQP_URL")),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.unwrap_or_default()),
        ("DRYDOCK_S3_BUCKET", storage.bucket),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
        ("DRYDOCK_DATABASE_START_TIMEOUT", "300ms".to_owned()),
        ("DRYDOCK_AMQP_START_TIMEOUT", "300ms".to_owned()),
        ("DRYDOCK_S3_TIMEOUT", "1s".to_owned()),
        ("DRYDOCK_S3_START_TIMEOUT", "300ms".to_owned()),
        ("DRYDOCK_API_ADDR", format!("127.0.0.1:{}", free_port())),
        ("DRYDOCK_ADMIN_ADDR", format!("127.0.0.1:{}", free_port())),
    ]
}

async fn refuses(program: &str, good: &[(&'static str, String)], spoilt: (&'static str, &str), code: i32, named: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary(program));
    command.env_clear().envs(good.iter().cloned()).env("DRYDOCK_SCRATCH_DIR", scratch.path());
    if program == "drydock-api" {
        command.env("DRYDOCK_DATABASE_URL", drydock_testing::as_api(&good[0].1.clone().into()).expose_secret());
    }
    command.env(spoilt.0, spoilt.1);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{program} with {spoilt:?}: {said}");
    assert!(said.contains(named), "{program} with {spoilt:?} names {named}: {said}");
    assert!(!said.contains("hunter2"), "no password in {said}");
}

#[tokio::test]
async fn each_service_names_the_setting_and_exits_with_a_telling_code() {
    let database = drydock_testing::database().await;
    let good = settings(&database);
    let nowhere = free_port();
    let postgres = format!("postgres://u:hunter2@127.0.0.1:{nowhere}/d");
    let amqp = format!("amqp://u:hunter2@127.0.0.1:{nowhere}/%2f");
    let s3 = format!("http://127.0.0.1:{nowhere}");
    for program in ["drydock-api", "drydock-dispatcher", "drydock-worker"] {
        refuses(program, &good, ("DRYDOCK_DATABASE_URL", &postgres), 69, "DRYDOCK_DATABASE_URL").await;
        refuses(program, &good, ("DRYDOCK_DATABASE_URL", ""), 64, "DRYDOCK_DATABASE_URL").await;
        refuses(program, &good, ("DRYDOCK_DATABASE_URL", "mysql:hunter2"), 64, "DRYDOCK_DATABASE_URL").await;
        refuses(program, &good, ("DRYDOCK_S3_ENDPOINT", &s3), 69, "DRYDOCK_S3_ENDPOINT").await;
        refuses(program, &good, ("DRYDOCK_S3_BUCKET", "no-such-bucket"), 69, "DRYDOCK_S3_BUCKET").await;
    }
    for program in ["drydock-dispatcher", "drydock-worker"] {
        refuses(program, &good, ("DRYDOCK_AMQP_URL", &amqp), 69, "DRYDOCK_AMQP_URL").await;
        refuses(program, &good, ("DRYDOCK_AMQP_URL", "http://hunter2"), 64, "DRYDOCK_AMQP_URL").await;
    }
    refuses("drydock-worker", &good, ("DRYDOCK_LEASE_TTL", "soon"), 64, "--lease-ttl").await;
}

/// Red when `role::check` takes any role.
#[tokio::test]
async fn a_role_that_sees_more_than_its_service_needs_is_refused() {
    let database = drydock_testing::database().await;
    let (good, owner, fleet) = (settings(&database), &database.url, &database.fleet_url());
    for program in ["drydock-api", "drydock-dispatcher", "drydock-worker"] {
        let owner = ("DRYDOCK_DATABASE_URL", owner.expose_secret());
        refuses(program, &good, owner, 64, "DRYDOCK_INSECURE_DATABASE_ROLE").await;
    }
    refuses("drydock-api", &good, ("DRYDOCK_DATABASE_URL", fleet.expose_secret()), 64, "row security").await;
}

#[tokio::test]
async fn a_database_without_schema_is_named_as_such() {
    let database = drydock_testing::empty_database().await;
    let owner = database.url.expose_secret();
    refuses("drydock-api", &settings(&database), ("DRYDOCK_DATABASE_URL", owner), 69, "drydock admin migrate").await;
}
