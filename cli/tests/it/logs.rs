//! Logs and events: whole, followed, taken up again.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use tokio::io::AsyncReadExt as _;

use crate::{
    harness::{Api, Ended, PATIENCE},
    worker::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_over_a_restart_without_a_gap() {
    let mut api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let mut child = api.drydock(&format!("job logs {job} -f")).start();
    let attempt = worker.claim(&job).await;
    worker.log(attempt, 0, 0, "first\n").await;
    let mut first = [0; 6];
    let mut stdout = child.stdout.take().unwrap();
    tokio::time::timeout(PATIENCE, stdout.read_exact(&mut first))
        .await
        .expect("the log arrives while it grows")
        .unwrap();
    assert_eq!(&first, b"first\n");
    api.stop().await;
    worker.log(attempt, 1, 6, "second\n").await;
    api.start_again().await;
    worker.log(attempt, 2, 13, "third\n").await;
    worker.finish(&job, attempt, Outcome::Succeeded, &Report { log_bytes: 19, ..Report::default() }).await;
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, stdout.read_to_string(&mut rest)).await.expect("the log ends").unwrap();
    assert_eq!(rest, "second\nthird\n");
    Ended::of(child).await.exit(0);
    assert_eq!(api.drydock(&format!("job logs {job}")).ok().await.text(), "first\nsecond\nthird\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_is_followed_too() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (project, first) = api.project().await;
    worker.end(&first, Outcome::Succeeded).await;
    let job = api.drydock_with(&["job", "submit", &project, "-i", "try twice", "--retries", "1"]).ok().await.line();
    let child = api.drydock(&format!("job logs {job} -f")).start();
    for (text, outcome) in [("one\n", Outcome::Failed), ("two, longer\n", Outcome::Succeeded)] {
        let due = "UPDATE job SET state = 'queued' WHERE id = $1::text::uuid AND state = 'scheduled'";
        api.database.client().await.unwrap().execute(due, &[&job]).await.unwrap();
        let attempt = worker.claim(&job).await;
        worker.log(attempt, 0, 0, text).await;
        let report = Report { log_bytes: i64::try_from(text.len()).unwrap(), ..Report::default() };
        worker.finish(&job, attempt, outcome, &report).await;
    }
    let ended = Ended::of(child).await.exit(0);
    assert_eq!(ended.text(), "one\ntwo, longer\n");
    assert_eq!(api.drydock(&format!("job logs {job} --attempt 1")).ok().await.text(), "one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_lines_from_the_first_to_the_last() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let child = api.drydock(&format!("--json job events {job}")).start();
    worker.end(&job, Outcome::Failed).await;
    let followed = Ended::of(child).await.exit(0).text();
    let exact = api.get_as(&format!("/jobs/{job}/events"), "application/x-ndjson").await;
    let lines = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(&followed), lines(&exact), "as the API says them in NDJSON");
    let text = api.drydock(&format!("job events {job}")).ok().await.text();
    assert!(text.lines().next().unwrap().contains("  status    queued"), "{text}");
    assert!(text.lines().last().unwrap().contains("  status    error"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_nobody_reads_is_no_error() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let mut child = api.drydock(&format!("job show {job}")).start();
    drop(child.stdout.take());
    let ended = Ended::of(child).await.exit(0);
    assert_eq!(ended.err, "");
}
