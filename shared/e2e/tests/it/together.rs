//! Two jobs at the same time: private workspaces, nothing of each other's, nothing left.

use serde_json::json;

use crate::stack::{
    Stack,
    client::{id, shell},
};

/// Each writes its file, then waits until the other has, then lists what it sees.
fn script(meeting: &str, own: &str, other: &str) -> String {
    format!(
        "mkdir -p src && echo {own} > src/{own}.txt && touch {meeting}/{own} && \
         i=0; while [ ! -e {meeting}/{other} ] && [ $i -lt 3000 ]; do sleep 0.01; i=$((i+1)); done; \
         find . -type f -not -path './.codex/*' | sort; pwd; ls -ld . | cut -c1-10"
    )
}

#[tokio::test]
async fn neither_sees_the_others_files_and_both_directories_go() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let meeting = tempfile::tempdir().unwrap();
    let place = meeting.path().display().to_string();
    let mut jobs = Vec::new();
    for (own, other) in [("left", "right"), ("right", "left")] {
        let project = id(&client.project(json!({"instruction": "an empty start", "agent": "dummy"})).await);
        let job = client.submit(&project, shell(&script(&place, own, other))).await;
        jobs.push((project, job, own, other));
    }
    for (project, job, own, other) in jobs {
        let ended = client.ended(&job).await;
        assert_eq!(
            (&ended["status"], &ended["created_files"]),
            (&json!("completed"), &json!([format!("src/{own}.txt")])),
            "{ended}"
        );
        let log = client.log(&project, &job).await;
        assert!(log.contains(&format!("./src/{own}.txt")) && !log.contains(&format!("src/{other}.txt")), "{log}");
        let path = ended["attempts"][0]["workspace_path"].as_str().unwrap();
        assert!(log.lines().any(|line| line == path), "it works directly in {path}:\n{log}");
        assert!(log.contains("drwx------"), "{log}");
    }
    stack.await_clean().await;
}
