//! `job grep` and `batch grep`: what grep would say, of logs that are elsewhere.

use drydock_database::{batch, report::Report};
use drydock_domain::Outcome;

use crate::{harness::Api, worker::Worker};

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_log_are_written_as_grep_writes_them() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    let log: String = (1..=1200).map(|n| format!("{n} \u{1b}[31mError\u{1b}[0m: a.b\r\n{n} fine\n")).collect();
    worker.log(attempt, 0, 0, &log).await;
    let grep = async |words: &[&str]| api.drydock_with(&[&["job", "grep", &job], words].concat()).ok().await.text();
    let all: String = (1..=1200).map(|n| format!("{n} Error: a.b\n")).collect();
    assert_eq!(grep(&["^[0-9]+ error", "-i"]).await, all, "over all pages");
    assert_eq!(grep(&["-c", "Error"]).await, "1200\n");
    assert_eq!(grep(&["-n", "-m", "2", "-F", "a.b"]).await, "1:1 Error: a.b\n3:2 Error: a.b\n");
    assert_eq!(grep(&["-c", "a.b|fine"]).await, "2400\n");
    let lines = api.drydock_with(&["-o", "ndjson", "job", "grep", &job, "Error"]).ok().await.text();
    assert_eq!(lines.lines().count(), 1200);
    let page = api.drydock_with(&["--json", "job", "grep", &job, "Error"]).ok().await.json();
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(1200), 500));

    let none = api.drydock_with(&["job", "grep", &job, "error"]).end().await.exit(1);
    assert_eq!((none.text().as_str(), none.err.as_str()), ("", ""));
    assert_eq!(api.drydock_with(&["job", "grep", "-c", &job, "error"]).end().await.exit(1).text(), "0\n");
    api.drydock_with(&["job", "grep", &job, "(a"]).end().await.exit(2).says("wrong at character 1");
    api.drydock_with(&["job", "grep", &job, "a", "--attempt", "2"]).end().await.exit(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_batch_are_told_by_what_they_printed() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let mut file = String::new();
    for _ in 0..3 {
        let (project, first) = api.project().await;
        worker.end(&first, Outcome::Succeeded).await;
        file += &format!("{{\"project_id\": \"{project}\", \"job_type\": \"edit\", \"instruction\": \"do it\"}}\n");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.ndjson");
    fs_err::write(&path, file).unwrap();
    let id = api.drydock_with(&["batch", "submit", path.to_str().unwrap()]).ok().await.line();
    let jobs: serde_json::Value = serde_json::from_str(&api.get(&format!("/jobs?batch={id}")).await).unwrap();
    let jobs: Vec<&str> =
        jobs["items"].as_array().unwrap().iter().rev().map(|job| job["id"].as_str().unwrap()).collect();
    let client = api.database.client().await.unwrap();
    batch::step(&client, id.parse().unwrap(), 100, 1000).await.unwrap();
    for (job, log) in jobs.iter().zip(["E1\nE1\n", "fine\n", "E2\n"]) {
        let attempt = worker.claim(job).await;
        worker.log(attempt, 0, 0, log).await;
        let report = Report { log_bytes: i64::try_from(log.len()).unwrap(), ..Report::default() };
        worker.finish(job, attempt, Outcome::Failed, &report).await;
    }
    let grep = async |words: &[&str]| api.drydock_with(&[&["batch", "grep", &id], words].concat()).ok().await.text();
    let table = grep(&["E[0-9]"]).await;
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            vec!["LINE", "JOB", "STATUS", "MATCHES", "FIRST"],
            vec!["1", jobs[0], "error", "2", "E1"],
            vec!["3", jobs[2], "error", "1", "E2"]
        ]
    );
    let lines = api.drydock_with(&["--output", "ndjson", "batch", "grep", &id, "E[0-9]"]).ok().await.text();
    let told = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(told.map(|job| job["job_id"].clone()).collect::<Vec<_>>(), [jobs[0], jobs[2]]);
    assert_eq!(grep(&["E[0-9]", "-c", "--status", "error"]).await, "2\n");
    let groups = grep(&["E[0-9]|fine", "--group"]).await;
    assert_eq!(groups.lines().count(), 4, "{groups}");
    assert!(groups.contains(&format!("1     {}  fine", jobs[1])), "{groups}");
    assert_eq!(api.drydock_with(&["batch", "grep", &id, "absent"]).end().await.exit(1).text(), "");
}
