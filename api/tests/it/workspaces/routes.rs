//! Where the jobs of a project go while a daemon holds its workspace, and afterwards; and the action that is watched.

use serde_json::{Value, json};
use uuid::Uuid;

use super::daemon::{Daemon, token};
use crate::harness::{Api, PATIENCE};

async fn pool_of(api: &Api, job: &str) -> String {
    let client = api.database.client().await.unwrap();
    client.query_one("SELECT pool FROM job WHERE id = $1::text::uuid", &[&job]).await.unwrap().get(0)
}

/// Red when a job waits for ever in the pool of a daemon that is gone, or one that a daemon must not have goes there.
#[tokio::test]
async fn jobs_go_to_the_daemon_and_home_when_it_leaves() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let edit = |more: Value| {
        let mut body = json!({"job_type": "edit", "instruction": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let before = api.job(&project, edit(json!({}))).await;
    let isolated = api.job(&project, edit(json!({"min_isolation": "landlock"}))).await;
    let token = token(&api, &project).await;
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::now_v7(), &[]).await;
    let (attempt, _) = daemon.job().await;
    let after = api.job(&project, edit(json!({}))).await;
    let later = api.job(&project, edit(json!({"run_at": "2099-01-01T00:00:00Z"}))).await;
    let alone = api.job(&project, edit(json!({"min_isolation": "landlock"}))).await;
    for (job, pool) in [
        (&before, "@workspace"),
        (&after, "@workspace"),
        (&later, "@workspace"),
        (&isolated, "default"),
        (&alone, "default"),
    ] {
        assert_eq!(pool_of(&api, job).await, pool);
    }
    let shown = api.get(&format!("/projects/{project}")).await.expect(200).json();
    assert_eq!(shown["pool"], "default", "where its jobs go by themselves");
    let fork = api.post(&format!("/projects/{project}/fork"), &json!({})).await.expect(201).text("id");
    let forked = api.job(&fork, edit(json!({}))).await;
    assert_eq!(pool_of(&api, &forked).await, "default");
    api.patch(&format!("/projects/{project}"), &json!({"pool": "other"})).await.expect(200);
    assert_eq!(api.get(&format!("/projects/{project}")).await.expect(200).json()["pool"], "other");
    assert_eq!(pool_of(&api, &api.job(&project, edit(json!({}))).await).await, "@workspace");

    daemon.result(&attempt, &first, "succeeded", None).await;
    let (attempt, frame) = daemon.job().await;
    daemon.result(&attempt, frame["job"].as_str().unwrap(), "succeeded", None).await;
    for job in [&after, &isolated, &alone] {
        api.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    }
    let (attempt, frame) = daemon.job().await;
    let last = frame["job"].as_str().unwrap().to_owned();
    // With something in hand a goodbye is none: it stays its own.
    let waits = api.job(&project, edit(json!({}))).await;
    daemon.say(json!({"type": "bye"})).await;
    assert_eq!(daemon.cut().await.0, 1000);
    assert_eq!(pool_of(&api, &waits).await, "@workspace");
    let instance = api.get(&format!("/workspaces/{project}")).await.expect(200).text("instance_id");
    let mut daemon = Daemon::connect(api.address, (&project, &token), instance.parse().unwrap(), &[&attempt]).await;
    api.post(&format!("/jobs/{waits}/cancel"), &json!({})).await;
    daemon.result(&attempt, &last, "succeeded", None).await;
    daemon.say(json!({"type": "bye"})).await;
    assert_eq!(daemon.cut().await.0, 1000);
    drydock_testing::until("its jobs go home", PATIENCE, async || {
        let shown = api.get(&format!("/workspaces/{project}")).await.expect(200).json();
        (shown["takes_jobs"] == false).then_some(())
    })
    .await;
    assert_eq!(pool_of(&api, &api.job(&project, edit(json!({}))).await).await, "other");
    assert_eq!(pool_of(&api, &later).await, "other", "what waits goes home as well");
}

#[tokio::test]
async fn an_action_is_a_job_shown_until_it_is_over() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let token = token(&api, &project).await;
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::now_v7(), &[]).await;
    let (attempt, _) = daemon.job().await;
    daemon.result(&attempt, &first, "succeeded", None).await;
    let path = format!("/workspaces/{project}/ai-action");
    let asked = json!({"action": "Fix the test", "context": {"file": "a.rs"}});
    let watched = async {
        let answer = api.post(&path, &asked).await.expect(200);
        (answer.header("cache-control").map(str::to_owned), answer.header("x-job-id").map(str::to_owned), answer.body)
    };
    let worked = async {
        let (attempt, frame) = daemon.job().await;
        assert_eq!(frame["instruction"], "Fix the test\n\nContext:\n{\n  \"file\": \"a.rs\"\n}");
        // For longer than a second, in which nothing changes.
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        daemon.result(&attempt, frame["job"].as_str().unwrap(), "succeeded", None).await;
        frame["job"].as_str().unwrap().to_owned()
    };
    let ((cache, id, body), job) = tokio::join!(watched, worked);
    assert_eq!((cache.as_deref(), id), (Some("no-cache"), Some(job.clone())));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let shown: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(shown.len() >= 4, "on change and every second: {}", shown.len());
    assert!(shown.iter().all(|one| one["id"] == job.as_str() && one["title"] == "Fix the test"));
    assert!(shown[..shown.len() - 1].iter().all(|one| one["status"] != "completed"));
    assert_eq!(shown.last().unwrap()["status"], "completed");
    // Of two at once with one key, one makes it, and both watch it.
    let ask = async || {
        let key = [("idempotency-key", "once")];
        api.post_with(&path, &json!({"action": "Again"}), &key).await.expect(200).header("x-job-id").map(str::to_owned)
    };
    let worked = async {
        let (attempt, frame) = daemon.job().await;
        daemon.result(&attempt, frame["job"].as_str().unwrap(), "succeeded", None).await;
    };
    let (one, other, ()) = tokio::join!(ask(), ask(), worked);
    assert!(one.is_some() && one == other, "{one:?} {other:?}");
    for (body, field) in [(json!({}), "action"), (json!({"action": "x", "context": "y".repeat(3000)}), "context")] {
        let refused = api.post(&path, &body).await.expect(422);
        assert!(refused.json()["detail"].to_string().contains(field), "{:?}", refused.json());
    }
}
