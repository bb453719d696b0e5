//! Batches on a whole stack: jobs on many projects while leaders change, and the best of several forks.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::stack::{
    Client, Options, PATIENCE, Stack,
    client::{http, id, shell},
};

async fn batch(client: &Client, settings: Value, lines: &[Value]) -> String {
    let (status, made) = client.send(Method::POST, "/batches", Some(settings)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let file: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let url = format!("{}/api/v1/batches/{}/jobs", client.base(), id(&made));
    let sent = http().post(url).header("content-type", "application/x-ndjson").body(file).send().await.unwrap();
    let answer: Value = sent.json().await.unwrap();
    assert_eq!(
        (&answer["accepted"], &answer["refused"], &answer["batch"]["closed"]),
        (&json!(lines.len()), &json!(0), &json!(true)),
        "{answer}"
    );
    id(&made)
}

/// The batch once it is over, or has paused.
async fn settled(client: &Client, batch: &str) -> Value {
    drydock_testing::until(&format!("batch {batch} is over"), PATIENCE, || async {
        let shown = client.get(&format!("/batches/{batch}?wait=5s")).await;
        let over = matches!(shown["status"].as_str(), Some("completed" | "error" | "cancelled"));
        (over || shown["pause_reason"].is_string()).then_some(shown)
    })
    .await
}

async fn results(client: &Client, batch: &str) -> Vec<Value> {
    let text = client.text(&format!("/batches/{batch}/results")).await;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// With `project_id` or `fork_of` beside what the job is.
fn line(place: (&str, &str), job: Value) -> Value {
    let mut line = job;
    line[place.0] = json!(place.1);
    line
}

#[tokio::test]
async fn every_line_is_done_once_while_leaders_change() {
    let settings = vec![("DRYDOCK_LEAD_TTL", "1s".to_owned()), ("DRYDOCK_REPAIR_PERIOD", "100ms".to_owned())];
    let mut stack = Stack::with(Options { settings, ..Options::default() }).await;
    let mut projects = Vec::new();
    for _ in 0..5 {
        projects.push(id(&stack.client.project(json!({"instruction": "an empty start", "agent": "dummy"})).await));
    }
    let lines: Vec<Value> = (0..60)
        .map(|n| {
            let script = shell(&format!("echo {n} > line-{n}.txt; [ {n} -ne 7 ] || {{ echo broken >&2; exit 3; }}"));
            line(("project_id", &projects[n % projects.len()]), script)
        })
        .collect();
    let batch = batch(&stack.client, json!({"name": "sixty", "max_running": 20}), &lines).await;
    for turn in [0, 1, 0] {
        let half = 15 * (turn + 1);
        drydock_testing::until("more lines are done", PATIENCE, || async {
            let counts = stack.client.get(&format!("/batches/{batch}")).await["counts"].clone();
            (counts["completed"].as_u64().unwrap() >= u64::try_from(half).unwrap()).then_some(())
        })
        .await;
        stack.dispatchers[turn].kill();
        stack.dispatchers[turn].restart();
    }
    let over = settled(&stack.client, &batch).await;
    let counts = json!({"queued": 0, "in_progress": 0, "completed": 59, "error": 1, "cancelled": 0});
    assert_eq!((&over["status"], &over["counts"], &over["held"]), (&json!("error"), &counts, &json!(0)), "{over}");
    assert!(over["slot_minutes"].as_f64().unwrap() > 0.0 && over["eta_s"].is_null(), "{over}");
    let rows = results(&stack.client, &batch).await;
    for (n, row) in rows.iter().enumerate() {
        let status = if n == 7 { "error" } else { "completed" };
        assert_eq!(
            (&row["line"], &row["status"], &row["attempts"]),
            (&json!(n + 1), &json!(status), &json!(1)),
            "{row}"
        );
    }
    let causes = stack.client.get(&format!("/batches/{batch}/failures")).await;
    assert_eq!(causes["items"][0]["job_ids"], json!([rows[7]["job_id"]]), "{causes}");
    // Each line that completed is a version of its project, and all of them together are its files.
    for (k, project) in projects.iter().enumerate() {
        let files = stack.client.get(&format!("/projects/{project}/files")).await;
        let found: BTreeSet<String> =
            files["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect();
        for n in (0..60).filter(|n| n % 5 == k && *n != 7) {
            assert!(found.contains(&format!("line-{n}.txt")), "line {n}: {found:?}");
        }
        let head = stack.client.get(&format!("/projects/{project}")).await["head_version"].clone();
        assert_eq!(head, json!(if k == 2 { 12 } else { 13 }), "one of the initial job, one a line");
    }
    stack.await_clean().await;
}

#[tokio::test]
async fn the_best_of_several_forks_is_found_and_the_failure_mended() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let origin = id(&client.project(json!({"instruction": "an empty start", "agent": "dummy"})).await);
    let flag = tempfile::tempdir().unwrap();
    // Each fork has its own answer; one fails until the flag is there.
    let lines: Vec<Value> = (1..=6)
        .map(|n| {
            let gate = format!("[ {n} -ne 2 ] || [ -e {}/mended ] || exit 1", flag.path().display());
            line(("fork_of", &origin), shell(&format!("{gate}; echo {} > score", n * 10)))
        })
        .collect();
    let batch = batch(client, json!({"name": "best of six", "canary": 2}), &lines).await;
    let paused = settled(client, &batch).await;
    let counts = json!({"queued": 4, "in_progress": 0, "completed": 1, "error": 1, "cancelled": 0});
    assert_eq!((&paused["pause_reason"], &paused["counts"]), (&json!("canary"), &counts), "{paused}");
    fs_err::write(flag.path().join("mended"), "").unwrap();
    let (status, retried) = client.send(Method::POST, &format!("/batches/{batch}/retry-failed"), Some(json!({}))).await;
    assert_eq!((status, &retried["retried"]), (StatusCode::ACCEPTED, &json!(1)), "{retried}");
    let (status, resumed) = client.send(Method::POST, &format!("/batches/{batch}/resume"), Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{resumed}");
    let over = settled(client, &batch).await;
    assert_eq!((&over["status"], &over["total"]), (&json!("completed"), &json!(6)), "{over}");
    let rows = results(client, &batch).await;
    let mut best = (0, String::new());
    for row in &rows {
        let fork = row["project_id"].as_str().unwrap();
        let score: u32 = client.text(&format!("/projects/{fork}/files/score")).await.trim().parse().unwrap();
        best = best.max((score, fork.to_owned()));
        assert_eq!(row["created_files"], json!(["score"]), "{row}");
    }
    assert_eq!((best.0, best.1.as_str()), (60, rows[5]["project_id"].as_str().unwrap()));
    let forks: BTreeSet<&str> = rows.iter().map(|row| row["project_id"].as_str().unwrap()).collect();
    assert_eq!((forks.len(), forks.contains(origin.as_str())), (6, false));
}

/// Uses ten tokens each time, and fails the first time where a file says so.
const COUNTING: &str = r#"
[[agent]]
name = "counting"
protocol = "file"
argv = ["sh", "-c", '''
s=completed
if grep -q '"attempt": 1' .codex/request.json && grep -q flaky .codex/request.json; then s=error; fi
echo '{"status": "'$s'", "usage": {"input_tokens": 8, "cached_input_tokens": 5, "output_tokens": 2}}' > .codex/result.json
''']
"#;

#[tokio::test]
async fn a_batch_pauses_when_its_agents_have_used_its_tokens_and_usage_tells_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agents.toml");
    fs_err::write(&file, COUNTING).unwrap();
    let settings = vec![("DRYDOCK_AGENTS_FILE", file.display().to_string())];
    let stack = Stack::with(Options { settings, ..Options::default() }).await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to count with", "agent": "dummy"})).await);
    let work =
        |instruction: &str| json!({"job_type": "edit", "agent": "counting", "instruction": instruction, "retries": 1});
    let lines: Vec<Value> =
        (0..5).map(|n| line(("project_id", &project), work(if n == 1 { "flaky" } else { "do it" }))).collect();
    let batch = batch(client, json!({"name": "five", "max_running": 1, "budget_tokens": 25}), &lines).await;
    let paused = settled(client, &batch).await;
    let tokens = |runs: u64| json!({"input": 8 * runs, "cached_input": 5 * runs, "output": 2 * runs});
    assert_eq!((&paused["pause_reason"], &paused["tokens"]), (&json!("budget"), &tokens(3)), "{paused}");
    assert_eq!(paused["counts"]["completed"], json!(2), "one of the three runs was to be repeated: {paused}");
    let (status, refused) = client.send(Method::POST, &format!("/batches/{batch}/resume"), Some(json!({}))).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    let (status, raised) =
        client.send(Method::PATCH, &format!("/batches/{batch}"), Some(json!({"budget_tokens": 100}))).await;
    assert_eq!(status, StatusCode::OK, "{raised}");
    client.send(Method::POST, &format!("/batches/{batch}/resume"), Some(json!({}))).await;
    let over = settled(client, &batch).await;
    assert_eq!((&over["status"], &over["tokens"]), (&json!("completed"), &tokens(6)), "{over}");
    let flaky = client.get(&format!("/jobs?batch={batch}")).await["items"].clone();
    let flaky = flaky.as_array().unwrap().iter().find(|job| job["instruction"] == "flaky").unwrap().clone();
    assert_eq!((&flaky["tokens"], &flaky["attempts"][0]["tokens"]), (&tokens(2), &tokens(1)), "{flaky}");
    drydock_testing::until("all six jobs are counted", PATIENCE, || async {
        let used = client.get("/usage").await["items"].clone();
        let jobs: u64 = used.as_array().unwrap().iter().map(|day| day["jobs"]["completed"].as_u64().unwrap()).sum();
        (jobs == 6).then_some(used)
    })
    .await;
    let of = client.get("/usage?by=project").await;
    assert_eq!((&of["items"][0]["id"], &of["items"][0]["tokens"]), (&json!(project), &tokens(6)), "{of}");
    assert_eq!(client.get("/usage?by=batch").await["items"][0]["tokens"], tokens(6));
}

/// The leader counts who has started, without being asked.
#[tokio::test]
async fn a_quota_of_queued_jobs_lets_in_as_many_as_the_fleet_takes() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to wait for"})).await);
    let tenant = client.get("/whoami").await["tenant"]["id"].as_str().unwrap().to_owned();
    let (status, set) =
        client.send(Method::PATCH, &format!("/tenants/{tenant}"), Some(json!({"max_queued_jobs": 3}))).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let (mut made, mut refused) = (Vec::new(), 0);
    while made.len() < 8 {
        let (status, answer) =
            client.send(Method::POST, &format!("/projects/{project}/jobs"), Some(shell("true"))).await;
        match status {
            StatusCode::ACCEPTED => made.push(id(&answer)),
            StatusCode::TOO_MANY_REQUESTS => {
                refused += 1;
                // Until the leader has seen that some have started.
                drydock_testing::until("there is room", PATIENCE, || async {
                    let now = client.get("/usage").await["now"]["queued_jobs"].as_u64().unwrap();
                    (now < 3).then_some(())
                })
                .await;
            }
            other => panic!("{other}: {answer}"),
        }
    }
    assert!(refused > 0, "eight do not fit into three");
    for job in made {
        assert_eq!(client.ended(&job).await["status"], json!("completed"));
    }
}
