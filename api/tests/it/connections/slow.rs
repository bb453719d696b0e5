//! Clients that take their time.

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::{HALF, ask, from, rest};
use crate::{
    harness::{Api, PATIENCE},
    workspaces::{Daemon, token},
};

const LOCAL: [u8; 4] = [127, 0, 0, 1];
const HEAD: &str = "drydock_api_connections_cut_total{kind=\"head\"}";
const IDLE: &str = "drydock_api_connections_cut_total{kind=\"idle\"}";

/// Red without an end to the wait for a head: each of these would be there for as long as its client likes.
#[tokio::test]
async fn who_does_not_end_a_head_is_cut_off() {
    let api = Api::start_with(&["--head-timeout", "1s"]).await;
    let mut silent = from(LOCAL, &api).await;
    let mut half = from(LOCAL, &api).await;
    half.write_all(HALF).await.unwrap();
    let mut later = from(LOCAL, &api).await;
    assert!(ask(&mut later).await.starts_with("HTTP/1.1 200"));
    later.write_all(HALF).await.unwrap();
    for stream in [&mut silent, &mut half, &mut later] {
        assert_eq!(rest(stream).await, "");
    }
    api.until_metric(HEAD, 3).await;

    // One byte after another is no progress.
    let mut dripping = from(LOCAL, &api).await;
    dripping.write_all(HALF).await.unwrap();
    let dripped = tokio::time::timeout(PATIENCE, async {
        while dripping.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    dripped.await.expect("the server ends it");
    api.until_metric(HEAD, 4).await;
}

/// Red when a connection without a request is kept, or when the wait for an answer counts as idleness.
#[tokio::test]
async fn an_idle_connection_is_closed_and_one_whose_answer_is_long_in_coming_is_not() {
    let api = Api::start_with(&["--head-timeout", "1s", "--idle-timeout", "2s"]).await;
    let mut stream = from(LOCAL, &api).await;
    for _ in 0..2 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(rest(&mut stream).await, "");
    api.until_metric(IDLE, 1).await;
    let (_, job) = api.project().await;
    let waited = api.get(&format!("/jobs/{job}?wait=3s")).await.expect(200);
    assert_eq!(waited.json()["status"], "queued");
}

/// Red when any limit of connections ends what is meant to stay open.
#[tokio::test]
async fn streams_and_sockets_stay() {
    let api = Api::start_with(&["--head-timeout", "1s", "--idle-timeout", "2s", "--body-timeout", "1s"]).await;
    let (project, _) = api.project().await;
    let mut stream = api.stream("/events", &[]).await;
    let token = token(&api, &project).await;
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::now_v7(), &[]).await;
    let (attempt, _) = daemon.job().await;
    let before = api.metric("drydock_api_connections").await;
    // Others come and are ended, one after another.
    for _ in 0..2 {
        let mut other = from(LOCAL, &api).await;
        ask(&mut other).await;
        assert_eq!(rest(&mut other).await, "");
    }
    daemon.say(json!({"type": "heartbeat", "syncing": true, "phases": [[attempt, "running"]]})).await;
    drydock_testing::until("the daemon is heard", PATIENCE, async || {
        (api.get(&format!("/workspaces/{project}")).await.expect(200).text("status") == "syncing").then_some(())
    })
    .await;
    let other = api.request(Method::POST, "/projects").json(&json!({"instruction": "make news"}));
    let made = crate::harness::Answer::of(other).await.expect(201).text("id");
    loop {
        let frame = stream.next().await.expect("the stream goes on");
        if frame.data["project_id"] == made.as_str() {
            break;
        }
    }
    assert!(before >= 2 && api.metric("drydock_api_connections").await >= 2, "both are counted");
}
