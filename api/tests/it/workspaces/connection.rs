//! Connections: who is cut off, when, and with which code.

use std::net::SocketAddr;

use drydock_api::{Listeners, run};
use drydock_runtime::{Shutdown, tasks};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::daemon::{Daemon, token};
use crate::harness::{Answer, Api, PATIENCE, config};

/// Another replica on the same database.
async fn replica(api: &Api, shutdown: &Shutdown) -> SocketAddr {
    let (config, secrets) = config(&api.database, &["--key-cache", "100ms"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = Listeners { api: listener, admin: None, sessions: None };
    tasks::spawn("another api", run(config, secrets, listeners, shutdown.clone()));
    address
}

async fn status(api: &Api, project: &str) -> String {
    api.get(&format!("/workspaces/{project}")).await.expect(200).text("status")
}

#[tokio::test]
async fn a_workspace_shows_whether_a_daemon_holds_it() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/workspaces/{project}");
    let never = api.get(&path).await.expect(200).json();
    assert_eq!(never, json!({"id": project, "status": "disconnected", "takes_jobs": false}));
    let token = token(&api, &project).await;
    let instance = Uuid::now_v7();
    let mut daemon = Daemon::connect(api.address, (&project, &token), instance, &[]).await;
    let (attempt, _) = daemon.job().await;
    let now = api.get(&path).await.expect(200).json();
    assert_eq!(
        (&now["status"], &now["takes_jobs"], &now["instance_id"]),
        (&json!("connected"), &json!(true), &json!(instance))
    );
    for (syncing, expected) in [(true, "syncing"), (false, "connected")] {
        daemon.say(json!({"type": "heartbeat", "syncing": syncing, "phases": [[attempt, "running"]]})).await;
        drydock_testing::until(expected, PATIENCE, async || (status(&api, &project).await == expected).then_some(()))
            .await;
    }
    drop(daemon);
    drydock_testing::until("it is gone", PATIENCE, async || {
        (status(&api, &project).await == "disconnected").then_some(())
    })
    .await;
    let gone = api.get(&path).await.expect(200).json();
    assert_eq!(gone["takes_jobs"], true, "it may come back: what it has in hand is its own");
    assert!(gone["last_seen_at"].is_string());
    api.get(&format!("/workspaces/{}", Uuid::now_v7())).await.expect(404);
}

#[tokio::test]
async fn a_daemon_whose_token_is_revoked_is_cut_off() {
    let api = Api::start_with(&["--key-cache", "100ms"]).await;
    let (project, _) = api.project().await;
    let path = format!("/workspaces/{project}/tokens");
    let made = api.post(&path, &json!({"name": "a laptop"})).await.expect(201);
    let token = made.text("token");
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::now_v7(), &[]).await;
    api.delete(&format!("{path}/{}", made.text("id"))).await.expect(204);
    assert_eq!(daemon.cut().await, (4401, "the token counts no more".to_owned()));
    let headers = [("x-workspace-id", project.as_str()), ("x-daemon-token", token.as_str())];
    assert_eq!(Daemon::open(api.address, &headers).await.err().map(|status| status.as_u16()), Some(401));
}

/// Red when an earlier connection lives on beside a newer one, which may be with another replica.
#[tokio::test]
async fn a_newer_connection_takes_the_place_of_an_older_one_at_any_replica() {
    let api = Api::start_with(&["--key-cache", "100ms"]).await;
    let shutdown = Shutdown::new();
    let other = replica(&api, &shutdown).await;
    let (project, job) = api.project().await;
    let token = token(&api, &project).await;
    let of = (project.as_str(), token.as_str());
    let instance = Uuid::now_v7();
    let mut first = Daemon::connect(api.address, of, instance, &[]).await;
    let (attempt, _) = first.job().await;
    drydock_testing::until("the other replica serves", PATIENCE, async || {
        tokio::net::TcpStream::connect(other).await.ok()
    })
    .await;
    let mut second = Daemon::connect(other, of, instance, &[&attempt]).await;
    assert_eq!(first.cut().await.0, 4409);
    second.result(&attempt, &job, "succeeded", None).await;
    assert_eq!(api.get(&format!("/jobs/{job}")).await.expect(200).json()["status"], "completed");
    shutdown.force();
}

#[tokio::test]
async fn what_is_no_hello_or_no_frame_is_cut_off_with_the_reason() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let token = token(&api, &project).await;
    let headers = [("x-workspace-id", project.as_str()), ("x-daemon-token", token.as_str())];
    for (frame, reason) in [
        (json!({"type": "heartbeat"}), "the first frame is a hello"),
        (json!({"type": "mystery"}), "no frame: unknown variant `mystery`"),
        (
            json!({"type": "hello", "protocol": 2, "instance": Uuid::nil(), "build": "", "agents": [], "running": []}),
            "this server speaks version 1, the daemon 2",
        ),
    ] {
        let mut daemon = Daemon::open(api.address, &headers).await.unwrap();
        daemon.say(frame).await;
        let (code, told) = daemon.cut().await;
        assert!(code == 4400 && told.starts_with(reason), "{code} {told}");
    }
}

#[tokio::test]
async fn a_project_that_asks_for_isolation_or_is_deleted_has_no_daemon() {
    let api = Api::start_with(&["--key-cache", "100ms"]).await;
    let (project, job) = api.project().await;
    let token = token(&api, &project).await;
    let headers = [("x-workspace-id", project.as_str()), ("x-daemon-token", token.as_str())];
    api.patch(&format!("/projects/{project}"), &json!({"min_isolation": "landlock"})).await.expect(200);
    let mut refused = Daemon::open(api.address, &headers).await.unwrap();
    refused.hello(Uuid::now_v7(), &[]).await;
    assert_eq!(refused.cut().await.0, 4412);
    api.patch(&format!("/projects/{project}"), &json!({"min_isolation": "none"})).await.expect(200);
    api.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::now_v7(), &[]).await;
    Answer::of(api.request(Method::DELETE, &format!("/projects/{project}"))).await.expect(204);
    assert_eq!(daemon.cut().await.0, 4404);
}

/// Red when two folders of one project take it from each other for ever: the older one is told that it was replaced, and stays away.
#[tokio::test]
async fn another_folder_takes_the_place_of_the_first() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let token = token(&api, &project).await;
    let of = (project.as_str(), token.as_str());
    let mut first = Daemon::connect(api.address, of, Uuid::now_v7(), &[]).await;
    let (attempt, _) = first.job().await;
    let mut second = Daemon::connect(api.address, of, Uuid::now_v7(), &[]).await;
    // Something happens, so that the first one looks.
    api.job(&project, json!({"job_type": "edit", "instruction": "look", "read_only": true})).await;
    assert_eq!(first.cut().await.0, 4409);
    let (reader, _) = second.job().await;
    assert_ne!(reader, attempt, "what the first had in hand is not the second's");
    let client = api.database.client().await.unwrap();
    // The second leaves before anybody took back what the first had: the job goes home all the same when it is.
    second.result(&reader, &second_job(&client, &reader).await, "succeeded", None).await;
    second.say(json!({"type": "bye"})).await;
    assert_eq!(second.cut().await.0, 1000);
    drydock_testing::until("its jobs go home", PATIENCE, async || {
        let shown = api.get(&format!("/workspaces/{project}")).await.expect(200).json();
        (shown["takes_jobs"] == false).then_some(())
    })
    .await;
    let answer = drydock_database::attempt::reap(&client, attempt.parse().unwrap(), std::time::Duration::ZERO).await;
    assert_eq!(answer.unwrap(), "queued");
    let sql = "SELECT pool FROM job WHERE id = $1::text::uuid";
    assert_eq!(client.query_one(sql, &[&job]).await.unwrap().get::<_, &str>(0), "default");
}

async fn second_job(client: &drydock_database::Client, attempt: &str) -> String {
    let sql = "SELECT job_id::text FROM attempt WHERE id = $1::text::uuid";
    client.query_one(sql, &[&attempt]).await.unwrap().get(0)
}

/// Red when a daemon can say what harms others: endless hellos, places in logs beyond all numbers, ends that only the fleet tells.
#[tokio::test]
async fn a_daemon_that_says_what_none_says_is_cut_off() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let token = token(&api, &project).await;
    let of = (project.as_str(), token.as_str());
    let hello = |agents: serde_json::Value, build: &str, running: usize| {
        let running: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(running).collect();
        json!({"type": "hello", "protocol": 1, "instance": Uuid::nil(), "build": build, "agents": agents, "running": running})
    };
    let headers = [("x-workspace-id", of.0), ("x-daemon-token", of.1)];
    for frame in [
        hello(json!(["dummy"]), "b", 65),
        hello(json!(vec!["a"; 65]), "b", 0),
        hello(json!(["session/x"]), "b", 0),
        hello(json!(["a\u{0}"]), "b", 0),
        hello(json!([]), &"b".repeat(101), 0),
        hello(json!([]), "b\u{0}", 0),
    ] {
        let mut daemon = Daemon::open(api.address, &headers).await.unwrap();
        daemon.say(frame.clone()).await;
        let (code, reason) = daemon.cut().await;
        assert!(code == 4400 && !reason.is_empty(), "{code} {reason}: {frame}");
    }
    for frame in [
        json!({"type": "log", "seq": 0, "offset": i64::MAX, "text": "x"}),
        json!({"type": "log", "seq": -1, "offset": 0, "text": "x"}),
        json!({"type": "log", "seq": 0, "offset": 0, "text": "x".repeat(32 * 1024 + 1)}),
        json!({"type": "result", "job": job, "outcome": "lost", "report": {"created_files": [], "modified_files": [], "deleted_files": [], "errors": [], "log_bytes": 0}}),
        json!({"type": "result", "job": job, "outcome": "succeeded", "report": {"created_files": 7}}),
    ] {
        let mut daemon = Daemon::connect(api.address, of, Uuid::nil(), &[]).await;
        let (attempt, _) = daemon.job().await;
        let mut frame = frame;
        frame["attempt"] = attempt.into();
        daemon.say(frame.clone()).await;
        assert_eq!(daemon.cut().await.0, 4400, "{frame}");
    }
}
