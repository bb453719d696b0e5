//! The audit log: who asked for what, and what came of it.

use std::time::Duration;

use drydock_database::audit;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, told};
use crate::harness::{Answer, PATIENCE};

const JOB: &str = r#"{"job_type": "edit", "instruction": "do it"}"#;

fn job() -> Value {
    serde_json::from_str(JOB).unwrap()
}

impl Api {
    /// The log once each of its requests has an outcome, oldest first.
    async fn audit(&self, key: &str, query: &str) -> Vec<Value> {
        let log = drydock_testing::until("every outcome is written", PATIENCE, async || {
            let items = self.get_as(key, &format!("/audit{query}")).await.expect(200).json()["items"].take();
            let items = items.as_array().unwrap().clone();
            items.iter().all(|item| item["outcome"].is_string()).then_some(items)
        })
        .await;
        log.into_iter().rev().collect()
    }
}

/// `action outcome status` of each.
fn in_short(log: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.to_string().replace('"', "");
    log.iter().map(|entry| ["action", "outcome", "status"].map(|name| text(&entry[name])).join(" ")).collect()
}

#[tokio::test]
async fn it_says_who_asked_for_what_and_what_came_of_it() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let user = json!({"name": "Ada", "email": "ada@example.org", "role": "member"});
    let user = api.post_as(&admin.key, "/users", &user).await.expect(201).text("id");
    let member = api.key(&admin.key, &json!({"name": "laptop", "role": "member", "user_id": user})).await;
    let viewer = api.key_of_role(&admin.key, "viewer").await;

    let project = json!({"instruction": "build a thing"});
    let project = api.post_as(&member.key, "/projects", &project).await.expect(201).text("id");
    let jobs = format!("/projects/{project}/jobs");
    let request = api.request(Method::POST, &jobs).bearer_auth(&member.key).header("x-request-id", "mine").json(&job());
    let job_id = Answer::of(request).await.expect(202).text("id");
    api.post_as(&member.key, &jobs, &json!({"job_type": "edit"})).await.expect(422);
    api.post_as(&viewer, &jobs, &job()).await.expect(403);
    api.with(&member.key, Method::PATCH, &format!("/projects/{project}"), &json!({"pool": "x y"})).await.expect(422);
    api.post_as(&member.key, &format!("/jobs/{job_id}/cancel"), &json!({})).await.expect(200);
    let again = api.post_as(&member.key, &format!("/jobs/{job_id}/retry"), &json!({})).await.expect(202).text("id");
    api.with(&admin.key, Method::DELETE, &format!("/keys/{}", member.id), &Value::Null).await.expect(204);

    let log = api.audit(&admin.key, "").await;
    let expected = [
        "key.create done 201",
        "user.create done 201",
        "key.create done 201",
        "key.create done 201",
        "project.create done 201",
        "job.submit done 202",
        "job.submit refused 422",
        "project.change refused 422",
        "job.cancel done 200",
        "job.retry done 202",
        "key.revoke done 204",
    ];
    assert_eq!(in_short(&log), expected);
    assert_eq!(log[0]["actor"], json!({"kind": "anyone"}));
    assert_eq!(log[1]["actor"], json!({"kind": "key", "key": admin.id}));
    assert_eq!((&log[1]["key_name"], &log[1]["created"]), (&json!("first"), &json!(user)));
    assert_eq!(log[2]["created"], json!(member.id));
    assert_eq!((&log[4]["user_name"], &log[4]["created"]), (&json!("Ada"), &json!(project)));
    let submit = &log[5];
    assert_eq!(submit["actor"], json!({"kind": "key", "key": member.id, "user": user}));
    assert_eq!((&submit["target"], &submit["created"]), (&json!(project), &json!(job_id)));
    assert_eq!((&submit["ip"], &submit["request_id"]), (&json!("127.0.0.1"), &json!("mine")));
    assert_eq!(submit["path"], json!(format!("/api/v1{jobs}")));
    assert_eq!((&log[9]["target"], &log[9]["created"]), (&json!(job_id), &json!(again)));

    let of = async |query: String| in_short(&api.audit(&admin.key, &query).await);
    assert_eq!(of(format!("?object={job_id}")).await, [expected[5], expected[8], expected[9]]);
    assert_eq!(of(format!("?actor={user}&action=job.")).await, [expected[5], expected[6], expected[8], expected[9]]);
    assert_eq!(of(format!("?object={}", member.id)).await, [expected[2], expected[10]]);
    let secrets = serde_json::to_string(&log).unwrap();
    assert!(!secrets.contains(member.key.rsplit_once('_').unwrap().1));
}

#[tokio::test]
async fn a_tenant_sees_its_own_log_and_a_role_without_the_right_none() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let other = api.tenant(&admin.key, "another").await;
    api.post_as(&other.key, "/projects", &json!({"instruction": "build a thing"})).await.expect(201);
    assert_eq!(in_short(&api.audit(&other.key, "").await), ["project.create done 201"]);
    let operator = api.key_of_role(&admin.key, "operator").await;
    for path in ["/audit", "/audit/export"] {
        let refused = api.get_as(&operator, path).await.expect(403);
        assert!(told(&refused).1.contains("audit:read"), "{refused:?}");
    }
    for (query, field) in [("actor=x", "actor"), ("since=x", "since"), ("action=", "action"), ("who=me", "who")] {
        let refused = api.get_as(&admin.key, &format!("/audit?{query}")).await.expect(422);
        assert_eq!(refused.faults().len(), 1);
        assert!(refused.faults()[0].starts_with(field), "{query}: {:?}", refused.faults());
    }
}

#[tokio::test]
async fn the_same_request_again_is_in_the_log_once_and_its_job_too() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let first = api.post_with(&path, &job(), &[("idempotency-key", "k")]).await.expect(202).text("id");
    let again = api.post_with(&path, &job(), &[("idempotency-key", "k")]).await.expect(202).text("id");
    assert_eq!(first, again);
    let log = api.get(&format!("/audit?action=job.submit&object={first}")).await.expect(200).json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let counted = async |outcome: &str, number: usize| {
        let line = format!("drydock_api_audit_records_total{{outcome=\"{outcome}\"}} {number}\n");
        drydock_testing::until(&format!("{number} records are {outcome}"), PATIENCE, async || {
            let metrics = String::from_utf8(api.get("//metrics").await.expect(200).body).unwrap();
            metrics.contains(&line).then_some(())
        })
        .await;
    };
    // The outcome of the project's is written after its answer.
    counted("written", 2).await;
    let client = api.database.client().await.unwrap();
    client.batch_execute("ALTER TABLE audit_record ADD CONSTRAINT broken CHECK (false) NOT VALID").await.unwrap();
    let count = async |table: &str| -> i64 {
        client.query_one(&format!("SELECT count(*) AS n FROM {table}"), &[]).await.unwrap().get("n")
    };
    let before = (count("api_key").await, count("job").await);
    api.post("/keys", &json!({"name": "unseen", "role": "admin"})).await.expect(500);
    // The record and its outcome.
    counted("failed", 2).await;
    api.post(&format!("/projects/{project}/jobs"), &job()).await.expect(500);
    assert_eq!((count("api_key").await, count("job").await), before);
}

#[tokio::test]
async fn who_goes_away_before_the_answer_is_told_of() {
    let api = Api::start().await;
    let request = api.request(Method::POST, "/projects?wait=50s").json(&json!({"instruction": "build a thing"}));
    let hasty = request.timeout(Duration::from_millis(300)).send().await;
    assert!(hasty.unwrap_err().is_timeout());
    let log = drydock_testing::until("the outcome is written", PATIENCE, async || {
        let log = api.get("/audit").await.expect(200).json()["items"].take();
        log[0]["outcome"].is_string().then_some(log)
    })
    .await;
    assert_eq!((&log[0]["action"], &log[0]["outcome"]), (&json!("project.create"), &json!("abandoned")));
}

#[tokio::test]
async fn an_export_holds_every_record_with_its_hash() {
    let api = Api::start().await;
    for _ in 0..3 {
        api.project().await;
    }
    let client = api.database.client().await.unwrap();
    drydock_testing::until("all are written", PATIENCE, async || {
        audit::chain(&client, 100).await.unwrap();
        let lines = api.get("/audit/export").await.expect(200).body;
        (lines.iter().filter(|byte| **byte == b'\n').count() == 6).then_some(())
    })
    .await;
    let export = api.get("/audit/export?after=2").await.expect(200);
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(export.body).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["position"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 4, 5, 6]);
    let chain = audit::chained(&client, drydock_domain::TenantId::DEFAULT, 2, 10).await.unwrap();
    for ((line, raw), known) in lines.iter().zip(text.lines()).zip(chain) {
        assert_eq!(line["hash"], json!(known.hash));
        assert!(raw.ends_with(&format!("\"record\":{}}}", known.record)), "{raw}");
    }
    api.get("/audit/export?after=-1").await.expect(422);
}

#[tokio::test]
async fn what_is_refused_in_the_middle_is_not_told_as_if_nothing_had_changed() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let project = api.post_as(&admin.key, "/projects", &json!({"instruction": "build a thing"})).await.expect(201);
    let batch = api.post_as(&admin.key, "/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let line =
        format!("{{\"project_id\": \"{}\", \"job_type\": \"edit\", \"instruction\": \"do it\"}}\n", project.text("id"));
    let path = format!("/batches/{batch}/jobs?first_line=9999001");
    let request =
        api.request(Method::POST, &path).bearer_auth(&admin.key).header("content-type", "application/x-ndjson");
    Answer::of(request.body(line.repeat(1001))).await.expect(413);
    let made = api.get_as(&admin.key, &format!("/batches/{batch}")).await.expect(200).json()["total"].clone();
    assert!(made.as_u64().unwrap() >= 500, "chunks before the line too many were accepted: {made}");
    let log = api.audit(&admin.key, "?action=batch.submit").await;
    assert_eq!(in_short(&log), ["batch.submit failed 413"]);
}

#[tokio::test]
async fn an_id_is_known_however_it_is_written() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let other = api.key(&admin.key, &json!({"name": "other", "role": "viewer"})).await;
    let hidden: String = other.id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    api.with(&admin.key, Method::DELETE, &format!("/keys/{hidden}"), &Value::Null).await.expect(204);
    let log = api.audit(&admin.key, &format!("?object={}", other.id)).await;
    assert_eq!(in_short(&log), ["key.create done 201", "key.revoke done 204"]);
}

#[tokio::test]
async fn the_last_outcomes_are_written_before_the_server_ends() {
    let mut api = Api::start().await;
    let client = api.database.client().await.unwrap();
    for _ in 0..20 {
        api.post("/keys", &json!({})).await.expect(422);
    }
    api.shutdown.trigger();
    tokio::time::timeout(PATIENCE, &mut api.running).await.expect("the API stops").unwrap().unwrap();
    let sql = "SELECT count(*) AS n FROM audit_record WHERE answers IS NOT NULL";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>("n"), 20);
}

#[tokio::test]
async fn a_change_is_told_with_what_was_before_and_in_the_chain_like_all_else() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let user = json!({"name": "Ada", "email": "ada@example.org", "role": "member"});
    let user = api.post_as(&admin.key, "/users", &user).await.expect(201).text("id");
    let other = api.tenant(&admin.key, "another").await;
    let tenant =
        api.get_as(&other.key, "/whoami").await.expect(200).json()["tenant"]["id"].as_str().unwrap().to_owned();
    let project =
        api.post_as(&admin.key, "/projects", &json!({"instruction": "build a thing"})).await.expect(201).text("id");
    let hook = json!({"name": "n", "url": "https://1.1.1.1/hook/SECRETPART?token=SECRETPART"});
    let hook = api.post_as(&admin.key, "/webhooks", &hook).await.expect(201).text("id");
    let patch = async |path: String, body: Value| api.with(&admin.key, Method::PATCH, &path, &body).await;
    let change = async |path: String, body: Value| {
        patch(path, body).await.expect(200);
        let log = api.audit(&admin.key, "?limit=1").await;
        log.last().unwrap()["changes"].clone()
    };
    let told = change(format!("/users/{user}"), json!({"role": "owner", "name": "Ada"})).await;
    assert_eq!(told, json!({"role": {"from": "member", "to": "owner"}}));
    let told = change(format!("/tenants/{tenant}"), json!({"weight": 3, "max_projects": 7})).await;
    assert_eq!(told, json!({"weight": {"from": 1, "to": 3}, "max_projects": {"from": null, "to": 7}}));
    let told =
        change(format!("/projects/{project}"), json!({"instruction": "x".repeat(1500), "labels": {"a": "b"}})).await;
    assert_eq!(told, json!({"instruction": {"to": format!("{}…", "x".repeat(200))}, "labels": {"to": {"a": "b"}}}));
    let told = change(format!("/webhooks/{hook}"), json!({"url": "https://1.0.0.1/SECRETPART", "paused": true})).await;
    assert_eq!(
        told,
        json!({"url_host": {"from": "1.1.1.1", "to": "1.0.0.1"}, "status": {"from": "active", "to": "paused"}})
    );
    patch(format!("/users/{user}"), json!({"role": "nobody"})).await.expect(422);
    assert_eq!(api.audit(&admin.key, "?limit=1").await[0]["changes"], Value::Null);

    let client = api.database.client().await.unwrap();
    drydock_testing::until("all are chained", PATIENCE, async || {
        audit::chain(&client, 100).await.unwrap();
        (audit::pending(&client, 100).await.unwrap() == 0).then_some(())
    })
    .await;
    let lines = String::from_utf8(api.get_as(&admin.key, "/audit/export").await.expect(200).body).unwrap();
    assert!(
        lines.contains(r#""changes":{"role":{"from":"member","to":"owner"}}"#) && !lines.contains("SECRETPART"),
        "{lines}"
    );
}
