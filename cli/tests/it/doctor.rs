//! `drydock doctor` where all is well, and with one thing wrong at a time.

use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    harness::{Api, Drydock, Ended},
    stand_in,
    worker::Worker,
};

/// All settings an operator has, good ones.
fn settings(api: &Api) -> Vec<(&'static str, String)> {
    let storage = api.storage();
    vec![
        ("DRYDOCK_API_URL", format!("http://{}", api.address)),
        ("DRYDOCK_DATABASE_URL", api.database.url.expose_secret().to_owned()),
        ("DRYDOCK_AMQP_URL", drydock_testing::setting("DRYDOCK_TEST_AMQP_URL")),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.clone().unwrap()),
        ("DRYDOCK_S3_BUCKET", storage.bucket.clone()),
        ("DRYDOCK_S3_PREFIX", storage.prefix.clone()),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
    ]
}

/// Runs it with some of them changed.
async fn doctor(good: &[(&'static str, String)], spoilt: &[(&str, &str)]) -> Ended {
    let command = good.iter().fold(Drydock::new(&["doctor"]), |command, (name, value)| command.env(name, value));
    let ended = spoilt.iter().fold(command, |command, (name, value)| command.env(name, value)).end().await;
    assert!(!ended.text().contains("hunter2") && !ended.err.contains("hunter2"), "no password in {}", ended.text());
    ended
}

/// The one line that fails.
fn failure(ended: &Ended) -> String {
    let text = ended.text();
    let failures: Vec<&str> = text.lines().filter(|line| line.starts_with("fail  ")).collect();
    assert_eq!(failures.len(), 1, "{text}");
    failures[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_each_check_says_so() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let good = settings(&api);
    let text = doctor(&good, &[]).await.exit(0).text();
    for check in ["api", "clock", "ready", "version", "auth", "workers", "rungs", "database", "broker", "storage"] {
        assert!(text.lines().any(|line| line.starts_with(&format!("ok    {check:<8}  "))), "{check} in {text}");
    }
    let command = good.iter().take(1).fold(Drydock::new(&["--json", "doctor"]), |c, (name, value)| c.env(name, value));
    let report = command.ok().await.json();
    let of = |check: &str| -> Value {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("{check} in {report}")).clone()
    };
    assert_eq!((&report["ok"], &of("api")["status"]), (&true.into(), &"ok".into()));
    for (check, name) in [("database", "DATABASE_URL"), ("broker", "AMQP_URL"), ("storage", "S3_BUCKET")] {
        assert_eq!(of(check)["status"], "skip");
        assert!(of(check)["remedy"].as_str().unwrap().contains(name), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_one_line_that_names_the_remedy() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let good = settings(&api);
    let empty = drydock_testing::empty_database().await;
    let nowhere = drydock_testing::free_port();
    let away = |scheme: &str| format!("{scheme}://u:hunter2@127.0.0.1:{nowhere}/d");
    let cases = [
        ("DRYDOCK_API_URL", format!("http://127.0.0.1:{nowhere}"), "api", "start drydock-api"),
        ("DRYDOCK_DATABASE_URL", away("postgres"), "database", "correct DRYDOCK_DATABASE_URL"),
        ("DRYDOCK_DATABASE_URL", empty.url.expose_secret().to_owned(), "database", "drydock admin migrate"),
        ("DRYDOCK_AMQP_URL", away("amqp"), "broker", "correct DRYDOCK_AMQP_URL"),
        ("DRYDOCK_S3_BUCKET", "no-such-bucket".to_owned(), "storage", "DRYDOCK_S3_BUCKET"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2".to_owned(), "storage", "the key pair"),
        ("DRYDOCK_API_KEY_FILE", "/nowhere/key".to_owned(), "settings", "correct the setting"),
    ];
    for (name, value, check, remedy) in cases {
        let ended = doctor(&good, &[(name, &value)]).await.exit(1);
        let line = failure(&ended);
        assert!(line.starts_with(&format!("fail  {check:<8}  ")) && line.contains(remedy), "{name}: {line}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_told_as_such() {
    const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{\"ready\":true}";
    const OURS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"version\":\"0\"}";
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 72\r\nconnection: close\r\n\r\n\
        {\"error\":\"unauthorized\",\"message\":\"Unauthorized\",\"code\":401,\"detail\":\"x\"}";
    let (address, _) = stand_in::serve(&[FINE, FINE, OURS, REFUSED]).await;
    let ended = doctor(&[("DRYDOCK_API_URL", address)], &[("DRYDOCK_API_KEY", "hunter2")]).await.exit(1);
    let line = failure(&ended);
    assert!(line.starts_with("fail  auth") && line.contains("DRYDOCK_API_KEY"), "{line}");
    assert!(ended.text().contains("warn  version"), "{}", ended.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_told_by_what_it_lacks() {
    let api = Api::start().await;
    let good = settings(&api);
    let line = failure(&doctor(&good, &[]).await.exit(1));
    assert!(line.starts_with("fail  workers   no worker takes jobs"), "{line}");

    let _worker = Worker::start(&api).await;
    let client = api.database.client().await.unwrap();
    let refused = "UPDATE worker SET build = 'older', refused_rungs =
        '{\"overlay\": \"cannot mount overlay: Operation not permitted (os error 1)\"}'";
    client.execute(refused, &[]).await.unwrap();
    let text = doctor(&good, &[]).await.exit(0).text();
    let has = |start: &str, words: &str| text.lines().any(|line| line.starts_with(start) && line.contains(words));
    assert!(has("warn  rungs", "cannot use overlay: cannot mount overlay: Operation not permitted"), "{text}");
    assert!(has("warn  rungs", "-> let the worker mount"), "{text}");
    assert!(has("warn  workers", "build older"), "{text}");

    client.execute("UPDATE worker SET lease_until = now() - interval '1 minute'", &[]).await.unwrap();
    let ended = doctor(&good, &[]).await.exit(1);
    assert!(ended.text().contains("warn  workers   1 lost their lease"), "{}", ended.text());
}
