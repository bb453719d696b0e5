//! The main job, as a newcomer would see it.

use std::process::Command;

use serde_json::{Value, json};

use crate::stack::{Client, Stack, client::id};

const FIBONACCI: &str = "0 1 1 2 3 5 8 13 21 34";

#[tokio::test]
async fn a_project_is_made_edited_and_told_in_full() {
    let stack = Stack::walled("landlock").await;
    let client = &stack.client;
    let project = client.project(json!({"instruction": "a command line tool that prints Fibonacci numbers"})).await;
    assert_eq!(project["status"], "completed", "{project}");
    let project = id(&project);

    check_files(client, &project).await;

    let edit = client.run(&project, json!({"job_type": "edit", "instruction": "say who wrote it"})).await;
    assert_eq!(
        (&edit["status"], &edit["modified_files"], &edit["version"]),
        (&json!("completed"), &json!(["app.py"]), &json!(2))
    );
    assert_eq!(printed(&client.bytes(&format!("/projects/{project}/files/app.py")).await), FIBONACCI);
    let versions = client.get(&format!("/projects/{project}/versions")).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2, "{versions}");

    check_told(&edit);
    let log = client.log(&project, &id(&edit)).await;
    for said in [
        "[worker] Workspace: ",
        " (isolated per request)",
        "OPENAI_API_KEY=absent",
        "[worker] Generation complete",
        "[worker] Generated files:",
        "[worker]   - app.py (",
    ] {
        assert!(log.contains(said), "'{said}' in:\n{log}");
    }
    stack.await_clean().await;
}

async fn check_files(client: &Client, project: &str) {
    let files = client.get(&format!("/projects/{project}/files")).await;
    let listed: Vec<&str> =
        files["files"].as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    for path in ["README.md", "app.py", "tests/test_cli.py", ".codex/request.json", ".codex/result.json"] {
        assert!(listed.contains(&path), "{path} in {listed:?}");
    }
    assert_eq!(printed(&client.bytes(&format!("/projects/{project}/files/app.py")).await), FIBONACCI);
}

/// The job's own account of itself.
fn check_told(job: &Value) {
    let attempts = job["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{job}");
    assert_eq!(
        (&attempts[0]["number"], &attempts[0]["outcome"], &attempts[0]["isolation"]),
        (&json!(1), &json!("succeeded"), &json!("landlock"))
    );
    for timing in ["queue_s", "materialize_s", "run_s", "push_s"] {
        assert!(
            job["timings"][timing].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)),
            "{timing} in {job}"
        );
    }
    assert_eq!(job["result_path"], ".codex/result.json");
    assert_eq!(job["title"], "say who wrote it");
}

#[tokio::test]
async fn a_forced_error_is_a_result_and_publishes_nothing() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "make an app"})).await);
    let job = client.run(&project, json!({"job_type": "edit", "instruction": "force_error please"})).await;
    assert_eq!((&job["status"], &job["errors"]), (&json!("error"), &json!(["forced_error"])), "{job}");
    assert!(job.get("version").is_none(), "{job}");
    let shown = client.get(&format!("/projects/{project}")).await;
    assert_eq!((&shown["status"], &shown["head_version"]), (&json!("error"), &json!(1)));
}

#[tokio::test]
async fn jobs_of_a_project_run_one_after_another_in_order() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "make an app"})).await);
    let mut jobs = Vec::new();
    for number in 0..5 {
        jobs.push(client.submit(&project, crate::stack::client::shell(&format!("echo {number} >> order.txt"))).await);
    }
    for job in &jobs {
        assert_eq!(client.ended(job).await["status"], "completed");
    }
    assert_eq!(client.text(&format!("/projects/{project}/files/order.txt")).await, "0\n1\n2\n3\n4\n");
}

fn printed(program: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("app.py"), program).unwrap();
    let output = Command::new("python3").arg("app.py").current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
