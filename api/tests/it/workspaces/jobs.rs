//! Jobs of a project whose workspace a daemon holds.

use serde_json::json;
use uuid::Uuid;

use super::daemon::{Daemon, token};
use crate::harness::{Api, PATIENCE, pick};

/// A project whose daemon has its first job in hand: project, token, job, daemon, attempt.
async fn held(api: &Api) -> (String, String, String, Daemon, String) {
    let (project, job) = api.project().await;
    let token = token(api, &project).await;
    let mut daemon = Daemon::connect(api.address, (&project, &token), Uuid::nil(), &[]).await;
    let (attempt, frame) = daemon.job().await;
    assert_eq!(
        pick(&frame, "job project number job_type agent instruction read_only"),
        json!([job, project, 1, "initial_project", "dummy", "build a thing", false])
    );
    (project, token, job, daemon, attempt)
}

#[tokio::test]
async fn a_job_is_handed_over_logged_and_ended_as_the_daemon_says() {
    let api = Api::start().await;
    let (project, _, job, mut daemon, attempt) = held(&api).await;
    for (seq, offset, text) in [(0, 0, "one\n"), (1, 4, "two\n"), (1, 4, "two\n")] {
        daemon.say(json!({"type": "log", "attempt": attempt, "seq": seq, "offset": offset, "text": text})).await;
        assert_eq!(daemon.hear().await, json!({"type": "logged", "attempt": attempt, "seq": seq}));
    }
    daemon.say(json!({"type": "heartbeat", "phases": [[attempt, "running"]]})).await;
    drydock_testing::until("it runs", PATIENCE, async || {
        let shown = api.get(&format!("/jobs/{job}")).await.expect(200).json();
        (shown["status_detail"] == "running").then_some(())
    })
    .await;
    daemon.result(&attempt, &job, "succeeded", None).await;
    let shown = api.get(&format!("/jobs/{job}")).await.expect(200).json();
    assert_eq!(pick(&shown, "status summary created_files"), json!(["completed", "did it", ["new.md"]]));
    let log = api.get(&format!("/projects/{project}/jobs/{job}/logs")).await.expect(200);
    assert_eq!(log.body, b"one\ntwo\n");
    // A job that comes later is handed over without being asked for.
    let second = api.job(&project, json!({"job_type": "edit", "instruction": "more"})).await;
    let (attempt, frame) = daemon.job().await;
    assert_eq!(frame["job"], second.as_str());
    daemon.result(&attempt, &second, "failed", None).await;
    assert_eq!(api.get(&format!("/jobs/{second}")).await.expect(200).json()["status"], "error");
}

/// Red when a job is started twice, or never, because its telling or its result got lost with a connection.
#[tokio::test]
async fn what_gets_lost_with_a_connection_comes_again_and_counts_once() {
    let api = Api::start().await;
    let (project, token, job, daemon, attempt) = held(&api).await;
    drop(daemon);
    let of = (project.as_str(), token.as_str());
    // It never heard of it: the same attempt is handed over again.
    let mut daemon = Daemon::connect(api.address, of, Uuid::nil(), &[]).await;
    assert_eq!(daemon.job().await.0, attempt);
    drop(daemon);
    // It has it: nothing is handed over, and the result that it brings is taken.
    let mut daemon = Daemon::connect(api.address, of, Uuid::nil(), &[&attempt]).await;
    daemon.result(&attempt, &job, "succeeded", None).await;
    daemon.result(&attempt, &job, "failed", None).await;
    let shown = api.get(&format!("/jobs/{job}")).await.expect(200).json();
    assert_eq!((&shown["status"], shown["attempts"].as_array().unwrap().len()), (&json!("completed"), 1));
    drop(daemon);
    // What it believes to have in hand and has not, it is told.
    let mut daemon = Daemon::connect(api.address, of, Uuid::nil(), &[&attempt]).await;
    assert_eq!(daemon.hear().await, json!({"type": "lost", "attempt": attempt}));
}

#[tokio::test]
async fn a_cancel_is_told_and_wins() {
    let api = Api::start().await;
    let (_, _, job, mut daemon, attempt) = held(&api).await;
    api.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(202);
    assert_eq!(daemon.hear().await, json!({"type": "cancel", "attempt": attempt}));
    daemon.result(&attempt, &job, "canceled", None).await;
    assert_eq!(api.get(&format!("/jobs/{job}")).await.expect(200).json()["status"], "cancelled");
}

/// One writer, and readers beside it, three together: the lane's own rule. A fourth waits.
#[tokio::test]
async fn at_most_three_jobs_are_in_hand_and_the_lane_holds() {
    let api = Api::start().await;
    let (project, _, first, mut daemon, attempt) = held(&api).await;
    let read = json!({"job_type": "edit", "instruction": "look", "read_only": true});
    let mut readers = Vec::new();
    for _ in 0..2 {
        api.job(&project, read.clone()).await;
        readers.push(daemon.job().await);
    }
    let fourth = api.job(&project, read).await;
    let writer = api.job(&project, json!({"job_type": "edit", "instruction": "write"})).await;
    daemon.result(&attempt, &first, "succeeded", None).await;
    // Its place goes to the next writer, or to the reader that came before: one of both, and no more.
    let (_, next) = daemon.job().await;
    let next = next["job"].as_str().unwrap().to_owned();
    assert!(next == fourth || next == writer);
    let other = if next == fourth { &writer } else { &fourth };
    assert_eq!(api.get(&format!("/jobs/{other}")).await.expect(200).json()["status_detail"], "pending");
}

#[tokio::test]
async fn commands_are_in_the_audit_log() {
    let api = Api::start().await;
    let (project, _, _, mut daemon, attempt) = held(&api).await;
    let (done, refused) = (Uuid::now_v7(), Uuid::now_v7());
    for (id, argv, exit_code, detail) in [
        (done, json!(["ls", "-l"]), json!(0), json!(null)),
        (refused, json!(["rm", "-rf", "/\u{0}"]), json!(null), json!("command 'rm' not allowed")),
        (done, json!(["ls", "-l"]), json!(0), json!(null)),
    ] {
        daemon.say(json!({"type": "command", "id": id, "attempt": attempt, "argv": argv, "refused": id == refused, "exit_code": exit_code, "detail": detail})).await;
        assert_eq!(daemon.hear().await, json!({"type": "noted", "id": id}));
    }
    let client = api.database.client().await.unwrap();
    let sql =
        "SELECT record::text FROM audit_record WHERE record ->> 'action' = 'command.run' ORDER BY record ->> 'id'";
    let rows = client.query(sql, &[]).await.unwrap();
    let records: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect();
    let told: Vec<_> = records
        .iter()
        .map(|one| json!([one["target"], one["outcome"], one["changes"]["argv"]["to"], one["actor"]["kind"]]))
        .collect();
    let sql =
        "SELECT count(*) FROM audit_record WHERE record ->> 'action' = 'workspace.connect' AND target = $1::text::uuid";
    assert_eq!(client.query_one(sql, &[&project]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(
        told,
        [
            json!([project, "done", ["ls", "-l"], "daemon"]),
            json!([project, "refused", ["rm", "-rf", "/\u{fffd}"], "daemon"])
        ]
    );
}

/// Red when a daemon takes more than its tenant may run, or a job whose labels no daemon has.
#[tokio::test]
async fn a_tenants_limit_holds_and_labels_are_the_fleets() {
    let api = Api::start().await;
    let (project, _, first, mut daemon, attempt) = held(&api).await;
    let client = api.database.client().await.unwrap();
    client.execute("UPDATE tenant SET max_running = 1", &[]).await.unwrap();
    let read = |requires: serde_json::Value| json!({"job_type": "edit", "instruction": "look", "read_only": true, "requires": requires});
    let waiting = api.job(&project, read(json!({}))).await;
    let labelled = api.job(&project, read(json!({"gpu": "yes"}))).await;
    daemon.result(&attempt, &first, "succeeded", None).await;
    let (_, frame) = daemon.job().await;
    assert_eq!(frame["job"], waiting.as_str());
    let sql = "SELECT pool, state::text FROM job WHERE id = $1::text::uuid";
    let row = client.query_one(sql, &[&labelled]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("default", "queued"));
}
