//! What agents do wrong is a result: clear, final, and never a crash of ours.

use serde_json::{Value, json};

use crate::stack::{
    Options, Stack,
    client::{id, shell},
};

const AGENTS: &str = r#"
[[agent]]
name = "silent"
protocol = "file"
argv = ["sh", "-c", "echo working; echo changed > changed.txt"]

[[agent]]
name = "garbled"
protocol = "file"
argv = ["sh", "-c", "echo '{\"status\": \"comple' > .codex/result.json"]

[[agent]]
name = "absent"
protocol = "exit"
argv = ["/nonexistent/agent"]
"#;

async fn stack() -> (Stack, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agents.toml");
    fs_err::write(&file, AGENTS).unwrap();
    let settings =
        vec![("DRYDOCK_AGENTS_FILE", file.display().to_string()), ("DRYDOCK_LOG_CAP_BYTES", (1 << 20).to_string())];
    (Stack::with(Options { settings, ..Options::default() }).await, directory)
}

#[tokio::test]
async fn every_way_to_fail_is_told_and_none_is_retried() {
    let (stack, _agents) = stack().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to fail with"})).await);
    let edit = |agent: &str| json!({"job_type": "edit", "instruction": "do it", "agent": agent});
    let command = |argv: Value| json!({"job_type": "command", "argv": argv});
    let cases = [
        (edit("silent"), "result.json", "failed"),
        (edit("garbled"), "result.json is malformed", "failed"),
        (command(json!(["/nonexistent/program"])), "/nonexistent/program", "failed"),
        (command(json!(["sh", "-c", "echo it broke >&2; exit 3"])), "3", "failed"),
        (json!({"job_type": "command", "argv": ["sleep", "300"], "timeout_s": 1}), "time", "timeout"),
        (command(json!(["sh", "-c", "kill -9 $$"])), "signal 9", "failed"),
    ];
    for (body, expected, outcome) in cases {
        let job = client.run(&project, body.clone()).await;
        assert_eq!(
            (&job["status"], &job["attempts"][0]["outcome"]),
            (&json!("error"), &json!(outcome)),
            "{body}: {job}"
        );
        assert_eq!(job["attempts"].as_array().unwrap().len(), 1, "{body}");
        assert!(job["errors"].to_string().contains(expected), "{body}: '{expected}' in {}", job["errors"]);
        assert!(job.get("version").is_none(), "{job}");
    }
    stack.await_clean().await;
}

#[tokio::test]
async fn an_agent_no_worker_offers_is_refused_at_the_door() {
    let (stack, _agents) = stack().await;
    for name in ["absent", "unheard-of"] {
        let body = json!({"instruction": "an app for nobody", "agent": name});
        let (status, answer) = stack.client.send(reqwest::Method::POST, "/projects", Some(body)).await;
        assert_eq!((status.as_u16(), &answer["detail"][0]["loc"]), (422, &json!(["body", "agent"])), "{answer}");
    }
}

#[tokio::test]
async fn a_flood_is_capped_with_true_counts() {
    let (stack, _agents) = stack().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to flood"})).await);
    let flood = 20 * 1024 * 1024;
    let job =
        client.run(&project, shell(&format!("yes 0123456789abcde | head -c {flood}; echo changed > a.txt"))).await;
    assert_eq!(job["status"], "completed", "{job}");
    let log = client.log(&project, &id(&job)).await;
    assert!(log.len() < (1 << 20) + (64 << 10), "{} bytes", log.len());
    assert!(log.contains("[worker] Output is more than 1048576 bytes; the rest is counted, not kept"), "the marker");
    let counts = log.lines().find(|line| line.starts_with("[worker] Output: ")).expect("the true counts");
    let dropped: u64 = counts.split(' ').rev().nth(3).unwrap().parse().unwrap();
    assert!(dropped > flood - (1 << 20) - 4096 && dropped < flood, "{counts}");
    assert!(log.contains("[worker]   - a.txt (1 lines)"), "our own lines are kept");
}

#[tokio::test]
async fn a_failed_attempts_tree_is_readable_but_not_listed_unless_asked_for() {
    let (stack, _agents) = stack().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to keep"})).await);
    let fail = "echo kept > kept.txt; exit 1";
    let job = client.run(&project, shell(fail)).await;
    assert_eq!(job["created_files"], json!(["kept.txt"]), "{job}");
    let path = format!("/projects/{project}/files/kept.txt");
    assert_eq!(client.text(&format!("{path}?job={}&attempt=1", id(&job))).await, "kept\n");
    let (status, _) = client.send(reqwest::Method::GET, &path, None).await;
    assert_eq!(status, 404, "the head does not have it");
    let mut body = shell(fail);
    body["keep_on_error"] = json!(true);
    let job = client.run(&project, body).await;
    assert_eq!((&job["status"], &job["version"]), (&json!("error"), &json!(2)), "{job}");
    assert_eq!(client.text(&path).await, "kept\n");
}

#[tokio::test]
async fn a_pool_with_a_list_of_commands_runs_no_other() {
    let worker_settings = vec![("DRYDOCK_COMMANDS", "echo, /usr/bin/env".to_owned())];
    let stack = Stack::with(Options { workers: Some(1), worker_settings, ..Options::default() }).await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app for few commands"})).await);
    let command = |argv: &[&str]| json!({"job_type": "command", "argv": argv});
    for allowed in [["echo", "sh"], ["/usr/bin/env", "true"]] {
        assert_eq!(client.run(&project, command(&allowed)).await["status"], "completed", "{allowed:?}");
    }
    for refused in [["sh", "-c"], ["./echo", "x"], ["/bin/echo", "x"], ["env", "true"]] {
        let job = client.run(&project, command(&refused)).await;
        let told = format!("command '{}' not allowed in this pool, which runs /usr/bin/env, echo", refused[0]);
        assert_eq!((&job["status"], job["attempts"].as_array().unwrap().len()), (&json!("error"), 1), "{job}");
        assert!(job["errors"].to_string().contains(&told), "{told}: {job}");
        assert!(job.get("version").is_none(), "{job}");
    }
    let edit = client.run(&project, json!({"job_type": "edit", "instruction": "agents are no commands"})).await;
    assert_eq!(edit["status"], "completed", "{edit}");
    stack.await_clean().await;
}
