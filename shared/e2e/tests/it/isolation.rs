//! Walls around jobs, from the user's side: what a job gets, what it is told, and what it cannot do.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{
    Client, Options, Stack,
    client::{http, id, shell},
};

/// Each level that this worker makes; the best one is what `auto` gives here.
const ASKED: [(&str, &str); 3] = [("auto", "namespace"), ("landlock", "landlock"), ("landlock-weak", "landlock-weak")];

async fn project(client: &Client) -> String {
    id(&client.project(json!({"instruction": "something to work on"})).await)
}

/// The log of a job that has to succeed.
async fn said(client: &Client, project: &str, script: &str) -> (Value, String) {
    let job = client.run(project, shell(script)).await;
    let log = client.log(project, &id(&job)).await;
    assert_eq!(job["status"], "completed", "{job}\n{log}");
    (job, log)
}

#[tokio::test]
async fn a_job_gets_the_level_that_its_attempt_shows_and_reaches_nothing_outside() {
    for (asked, level) in ASKED {
        let stack = Stack::walled(asked).await;
        let client = &stack.client;
        let project = project(client).await;
        let outside = stack.scratch.path().join("canary");
        fs_err::write(&outside, "canary outside").unwrap();
        let (job, log) = said(
            client,
            &project,
            &format!(
                "echo inside > kept; cat kept; cat {canary} 2>&1; echo changed > {canary}; \
                 cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c ^DRYDOCK_DATABASE_URL=; \
                 setsid sleep 300 & perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(\"{api}\") ? \"reached\" : \"closed\"'; true",
                canary = outside.display(),
                api = stack.client.base().trim_start_matches("http://"),
            ),
        )
        .await;
        assert_eq!(job["attempts"][0]["isolation"], level);
        assert!(log.contains("inside") && log.contains("closed"), "{log}");
        assert!(!log.contains("canary outside") && !log.contains("reached"), "{log}");
        assert!(log.lines().any(|line| line.ends_with('0')), "the worker's settings were read: {log}");
        assert_eq!(fs_err::read_to_string(&outside).unwrap(), "canary outside", "{level}");
        let workers = client.get("/workers").await;
        let levels: Vec<_> = workers["items"].as_array().unwrap().iter().map(|worker| &worker["isolation"]).collect();
        assert!(levels.iter().all(|shown| *shown == level), "{workers}");
        assert_eq!(job["created_files"], json!(["kept"]));
        stack.await_clean().await;
    }
}

#[tokio::test]
async fn a_job_that_takes_more_than_it_may_fails_and_says_of_what() {
    let settings = [
        ("DRYDOCK_ISOLATION", "landlock"),
        ("DRYDOCK_LIMIT_PROCESSES", "60"),
        ("DRYDOCK_LIMIT_MEMORY_BYTES", "100000000"),
        ("DRYDOCK_ADMIN_ADDR", &format!("127.0.0.1:{}", drydock_testing::free_port())),
    ];
    let worker_settings: Vec<_> = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
    let admin = worker_settings[3].1.clone();
    let stack = Stack::with(Options { workers: Some(1), worker_settings, ..Options::default() }).await;
    let client = &stack.client;
    let project = project(client).await;
    let memory = "python3 -c 'x = bytearray(200 << 20); import time; time.sleep(300)'";
    for (script, told, resource) in [
        (
            "for i in $(seq 100); do sleep 300 & done; wait",
            "processes and threads, where 60 are the limit",
            "processes",
        ),
        (memory, "bytes of memory, where 100000000 are the limit", "memory"),
    ] {
        let job = client.run(&project, shell(script)).await;
        assert_eq!(job["status"], "error", "{job}");
        let attempts = job["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "it would do the same again: {job}");
        assert!(attempts[0]["detail"].as_str().unwrap().contains(told), "{job}");
        let metrics = http().get(format!("http://{admin}/metrics")).send().await.unwrap().text().await.unwrap();
        let counted = format!("drydock_worker_over_limit_total{{resource=\"{resource}\"}} 1");
        assert!(metrics.contains(&counted), "{metrics}");
    }
    stack.await_clean().await;
}

#[tokio::test]
async fn a_job_is_never_run_below_what_it_asks_for() {
    let stack = Stack::walled("landlock").await;
    let client = &stack.client;
    let project = project(client).await;
    let mut body = shell("echo ran");
    body["min_isolation"] = json!("vm");
    let job = client.submit(&project, body).await;
    let waits = || async {
        let shown = client.get(&format!("/jobs/{job}")).await;
        (shown["waiting"]["rule"] == "no_isolation").then_some(())
    };
    drydock_testing::until("it waits for want of isolation", crate::stack::PATIENCE, waits).await;
    let mut body = shell("echo ran");
    body["min_isolation"] = json!("landlock");
    let (status, _) = client.send(Method::POST, &format!("/jobs/{job}/cancel"), None).await;
    assert!(status.is_success(), "{status}");
    let ran = client.run(&project, body).await;
    assert_eq!((&ran["status"], &ran["attempts"][0]["isolation"]), (&json!("completed"), &json!("landlock")), "{ran}");
}

#[tokio::test]
async fn a_session_behind_walls_is_reached_from_outside() {
    for (asked, _) in &ASKED[..2] {
        let stack = Stack::walled(asked).await;
        let client = &stack.client;
        let project = project(client).await;
        let (status, session) =
            client.send(Method::POST, "/sessions", Some(json!({"project_id": project, "server": "preview"}))).await;
        assert_eq!(status, StatusCode::CREATED, "{session}");
        let url = format!("http://{}:{}/README.md", session["host"].as_str().unwrap(), session["port"]);
        let answer = http().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{asked}");
        let (status, _) =
            client.send(Method::DELETE, &format!("/sessions/{}", session["session_id"].as_str().unwrap()), None).await;
        assert!(status.is_success(), "{status}");
    }
}
