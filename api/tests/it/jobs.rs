//! Jobs: validated, accepted once, shown with their attempts, listed with filters.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use serde_json::{Value, json};

use crate::harness::{Api, Content, Worker};

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_why() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let _worker = Worker::start(&api, &["dummy"]).await;
    let path = format!("/projects/{project}/jobs");
    let types = "Input should be 'initial_project', 'edit' or 'command'";
    let cases: Vec<(Value, Vec<[&str; 3]>)> = vec![
        (json!({}), vec![["job_type", "Field required", "missing"], ["instruction", "Field required", "missing"]]),
        (json!({"job_type": "delete", "instruction": "x"}), vec![["job_type", types, "enum"]]),
        (json!({"job_type": 1, "instruction": "x"}), vec![["job_type", types, "enum"]]),
        (json!({"job_type": "edit", "instruction": "   "}), vec![["instruction", "instruction must not be empty", "value_error"]]),
        (
            json!({"job_type": "edit", "instruction": "x".repeat(2_001)}),
            vec![["instruction", "String should have at most 2000 characters", "string_too_long"]],
        ),
        (json!({"job_type": "command"}), vec![["argv", "Field required", "missing"]]),
        (
            json!({"job_type": "command", "argv": []}),
            vec![["argv", "List should have at least 1 item after validation, not 0", "too_short"]],
        ),
        (
            json!({"job_type": "edit", "instruction": "x", "argv": ["true"]}),
            vec![["argv", "argv goes with job_type 'command' only", "value_error"]],
        ),
        (
            json!({"job_type": "edit", "instruction": "x", "agent": "nobody"}),
            vec![["agent", "no worker has ever offered agent 'nobody'; known are dummy", "value_error"]],
        ),
        (
            json!({"job_type": "edit", "instruction": "x", "priority": 10, "timeout_s": 0, "retries": 101, "run_at": "soon",
                   "read_only": "yes", "depends_on": []}),
            vec![
                ["priority", "Input should be less than or equal to 9", "less_than_equal"],
                ["run_at", "Input should be a valid datetime with its offset, like 2030-01-31T12:00:00Z", "datetime_parsing"],
                ["timeout_s", "Input should be greater than or equal to 1", "greater_than_equal"],
                ["read_only", "Input should be a valid boolean", "bool_type"],
                ["retries", "Input should be less than or equal to 100", "less_than_equal"],
                ["depends_on", "Extra inputs are not permitted", "extra_forbidden"],
            ],
        ),
    ];
    for (body, expected) in cases {
        let answer = api.post(&path, &body).await.expect(422);
        let rows = answer.json()["detail"].clone();
        let told: Vec<Value> = rows.as_array().unwrap().iter().map(|row| json!([row["loc"][1], row["msg"], row["type"]])).collect();
        assert_eq!(json!(told), json!(expected), "{body}");
    }
    let labels = api.post(&path, &json!({"job_type": "edit", "instruction": "x", "labels": {"a": 1}})).await.expect(422);
    assert_eq!(labels.json()["detail"][0]["loc"], json!(["body", "labels", "a"]));
    let listed = api.get(&path).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "only the first job of the project");
}

#[tokio::test]
async fn an_accepted_job_says_all_of_itself() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let shown = api.get(&format!("/jobs/{first}")).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["status_detail"]), (&json!("queued"), &json!("queued")));
    assert_eq!(shown["waiting_reason"], "for a free slot");
    assert_eq!(shown["job_type"], "initial_project");

    let body = json!({"job_type": "command", "argv": ["echo", "hi"], "agent": "never-checked", "title": "Say hi"});
    let answer = api.post(&format!("/projects/{project}/jobs"), &body).await.expect(202);
    let id = answer.text("id");
    assert_eq!(answer.header("location").unwrap(), format!("/api/v1/jobs/{id}"));
    let job = answer.json();
    assert_eq!((&job["status"], &job["status_detail"], &job["title"]), (&json!("queued"), &json!("pending"), &json!("Say hi")));
    assert_eq!(api.get(&format!("/jobs/{id}")).await.json()["waiting_reason"], "for the jobs of its project before it");
    let mut keys: Vec<_> = job.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let required = [
        "attempts", "created_at", "created_files", "deleted_files", "errors", "id", "instruction", "job_type", "logs_path",
        "modified_files", "project_id", "queued_at", "result_path", "status", "status_detail", "timings", "title", "updated_at",
    ];
    assert_eq!(keys, required);
    assert_eq!(job["logs_path"], format!("/api/v1/projects/{project}/jobs/{id}/logs"));

    let attempt = worker.claim(&first).await;
    let running = api.get(&format!("/jobs/{first}")).await.json();
    assert_eq!((&running["status"], &running["status_detail"]), (&json!("in_progress"), &json!("materializing")));
    let tried = &running["attempts"][0];
    assert_eq!((&tried["number"], &tried["outcome"], &tried["finished_at"]), (&json!(1), &Value::Null, &Value::Null));
    assert_eq!(tried["workspace_path"], format!("/scratch/{attempt}"));
    assert!(running["timings"]["queue_s"].as_f64().unwrap() >= 0.0);
    let report = Report {
        summary: Some("made".to_owned()),
        output: Some("done".to_owned()),
        created_files: vec!["a".to_owned()],
        run_s: Some(1.25),
        ..Report::default()
    };
    worker.finish(&first, attempt, Outcome::Succeeded, &report, Some(&[("a", Content::File(b"1"))])).await;
    let ended = api.get(&format!("/jobs/{first}?wait=10s")).await.json();
    assert_eq!((&ended["status"], &ended["version"], &ended["output"]), (&json!("completed"), &json!(1), &json!("done")));
    assert_eq!((&ended["timings"]["run_s"], &ended["created_files"]), (&json!(1.25), &json!(["a"])));
    assert_eq!(ended["attempts"][0]["outcome"], "succeeded");
    assert!(ended["attempts"][0]["worker"].as_str().unwrap().starts_with("test-"));
    assert!(ended["finished_at"].is_string() && ended.get("waiting_reason").is_none());
    assert_eq!(api.get(&format!("/jobs/{id}")).await.json()["status_detail"], "queued", "the lane went on");
}

#[tokio::test]
async fn titles_and_defaults() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let cases = [
        (json!({"job_type": "edit", "instruction": " first \nsecond"}), "first"),
        (json!({"job_type": "command", "argv": ["make", "all"]}), "make all"),
        (json!({"job_type": "command", "argv": ["make"], "instruction": "compile"}), "compile"),
        (json!({"job_type": "initial_project", "instruction": "x"}), "x"),
    ];
    for (body, title) in cases {
        let job = api.post(&format!("/projects/{project}/jobs"), &body).await.expect(202);
        assert_eq!(job.text("title"), title);
    }
    let later = json!({"job_type": "edit", "instruction": "x", "run_at": "2999-01-01T00:00:00Z"});
    let job = api.job(&project, later).await;
    let shown = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(shown["status_detail"], "scheduled");
    assert_eq!(shown["waiting_reason"], "until 2999-01-01T00:00:00.000Z");
    let aside = api.job(&project, json!({"job_type": "command", "argv": ["ls"], "read_only": true})).await;
    let shown = api.get(&format!("/jobs/{aside}")).await.json();
    assert_eq!(shown["status_detail"], "queued", "it waits for no other job");
    assert_eq!(shown["waiting_reason"], "for a worker in pool 'default': there is none");
    let alias = api.post(&format!("/{project}/jobs"), &json!({"job_type": "edit", "instruction": "old"})).await.expect(202);
    assert_eq!(alias.text("project_id"), project);
}

#[tokio::test]
async fn a_repeated_submission_is_one_job() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let (other, _) = api.project().await;
    let (path, elsewhere) = (format!("/projects/{project}/jobs"), format!("/projects/{other}/jobs"));
    let body = json!({"job_type": "edit", "instruction": "once"});
    let key = [("idempotency-key", "abc")];
    let (first, again) = tokio::join!(api.post_with(&path, &body, &key), api.post_with(&path, &body, &key));
    let (first, again) = (first.expect(202), again.expect(202));
    assert_eq!(first.text("id"), again.text("id"));
    let replays = [&first, &again].map(|answer| answer.header("idempotency-replayed").is_some());
    assert!(replays[0] ^ replays[1], "{replays:?}");
    let third = api.post_with(&path, &body, &key).await.expect(202);
    assert_eq!(third.header("idempotency-replayed"), Some("true"));
    let changed = json!({"job_type": "edit", "instruction": "twice"});
    assert_eq!(api.post_with(&path, &changed, &key).await.expect(422).faults(), ["Idempotency-Key: value_error"]);
    api.post_with(&elsewhere, &body, &key).await.expect(422);
    assert_eq!(api.get(&path).await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.get(&elsewhere).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_filter_and_page() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let (other, _) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    worker.publish(&first, &[("a", Content::File(b"x"))]).await;
    let labelled = api.job(&project, json!({"job_type": "edit", "instruction": "l", "labels": {"team": "a", "n": "1"}})).await;
    let command = api.job(&project, json!({"job_type": "command", "argv": ["true"], "labels": {"team": "a"}})).await;
    let since = api.get(&format!("/jobs/{command}")).await.text("created_at");
    let of = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    let cases = [
        ("status=completed", vec![&first]),
        ("status=queued", vec![&command, &labelled]),
        ("status=queued,completed", vec![&command, &labelled, &first]),
        ("status=queued&status=completed", vec![&command, &labelled, &first]),
        ("status=cancelled", vec![]),
        ("type=command", vec![&command]),
        ("type=edit,command", vec![&command, &labelled]),
        ("label=team=a", vec![&command, &labelled]),
        ("label=team=a&label=n=1", vec![&labelled]),
        ("label=team=b", vec![]),
        (&format!("since={since}"), vec![&command]),
        ("limit=1&type=edit", vec![&labelled]),
    ];
    for (query, expected) in &cases {
        let listed = of(&api.get(&format!("/projects/{project}/jobs?{query}")).await.expect(200).json());
        assert_eq!(listed.iter().collect::<Vec<_>>(), *expected, "{query}");
    }
    let all = of(&api.get("/jobs").await.json());
    assert_eq!(all.len(), 4);
    let page = api.get("/jobs?limit=3").await.json();
    assert_eq!(of(&page), all[..3]);
    let rest = api.get(&format!("/jobs?limit=3&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(of(&rest), all[3..]);
    assert!(rest.get("next_cursor").is_none());
    assert_eq!(of(&api.get(&format!("/projects/{other}/jobs")).await.json()).len(), 1);
    let bad = api.get("/jobs?status=done&type=x&label=team&since=now&limit=x&cursor=-&batch=1").await.expect(422);
    let expected = [
        "status: enum", "type: enum", "label: value_error", "since: datetime_parsing", "limit: int_parsing",
        "cursor: value_error", "batch: extra_forbidden",
    ];
    assert_eq!(bad.faults(), expected);
}
