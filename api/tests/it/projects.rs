//! Projects: created with their first job, shown, listed.

use std::time::Duration;

use drydock_database::report::Report;
use drydock_domain::Outcome;
use serde_json::{Value, json};

use crate::harness::{Api, Content, Worker, body, names, pick, table, told};

const REFUSED: &str = r#"
    {}                                    => instruction | Field required | missing
    {"instruction": null}                 => instruction | Input should be a valid string | string_type
    {"instruction": 7}                    => instruction | Input should be a valid string | string_type
    {"instruction": ""}                   => instruction | instruction must not be empty | value_error
    {"instruction": " \n\t "}             => instruction | instruction must not be empty | value_error
    {"instruction": "  abcd "}            => instruction | String should have at least 5 characters | string_too_short
    {"instruction": "LONG"}               => instruction | String should have at most 2000 characters | string_too_long
    {"instruction": "a\u0000bcdef"}       => instruction | String should not hold U+0000 | value_error
    {"instruction": "it it", "agent": "x"} => agent | no worker has ever offered agent 'x'; known are codex, dummy | value_error
    {"instruction": "build it", "depends_on": []} => depends_on | Extra inputs are not permitted | extra_forbidden
    {"agent": "", "pool": "a b", "labels": []} => instruction | Field required | missing & agent | String should have at least 1 character | string_too_short & pool | String should match pattern '^[A-Za-z0-9._-]+$' | string_pattern_mismatch & labels | Input should be a valid dictionary | dict_type
    {"instruction": "build it", "min_isolation": "strong", "x": 1} => min_isolation | Input should be 'none', 'landlock-weak', 'landlock', 'namespace', 'userkernel' or 'vm' | enum & x | Extra inputs are not permitted | extra_forbidden
"#;

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_why() {
    let api = Api::start().await;
    let _worker = Worker::start(&api, &["dummy", "codex"]).await;
    for (given, expected) in table(REFUSED) {
        let answer = api.post("/projects", &body(given)).await.expect(422);
        assert_eq!(told(&answer), expected, "{given}");
    }
    assert_eq!(api.get("/projects").await.expect(200).json()["items"], json!([]), "nothing was made");
    for good in ["äöüßé", &"ß".repeat(2_000), "  exactly  "] {
        let made = api.post("/projects", &json!({"instruction": good})).await.expect(201);
        assert_eq!(made.text("instruction"), good.trim());
    }
    let asked = json!({"instruction": "build it"});
    let wait = api.post("/projects?wait=1h&x=1", &asked).await.expect(422);
    assert_eq!(wait.faults(), ["wait: less_than_equal", "x: extra_forbidden"]);
}

#[tokio::test]
async fn a_project_is_queued_at_once() {
    let api = Api::start().await;
    let body = json!({"instruction": "first line\nsecond", "labels": {"team": "a"}, "pool": "p"});
    let made = api.post("/projects", &body).await.expect(201);
    let id = made.text("id");
    assert_eq!(made.header("location").unwrap(), format!("/api/v1/projects/{id}"));
    let told = pick(&made.json(), "owner status head_version agent pool summary preview_url");
    assert_eq!(told, json!(["default", "queued", 0, "dummy", "p", null, null]));
    let job = api.get(&format!("/jobs/{}", made.text("job_id"))).await.expect(200).json();
    assert_eq!(pick(&job, "job_type title project_id"), json!(["initial_project", "first line", id]));
    let shown = api.get(&format!("/projects/{id}")).await.expect(200).json();
    let always = "agent created_at head_version id instruction labels min_isolation owner pool status updated_at";
    assert_eq!(names(&shown), always);
}

#[tokio::test]
async fn a_projects_status_follows_its_newest_job() {
    let api = Api::start().await;
    let (id, job) = api.project().await;
    let shown = api.get(&format!("/projects/{id}")).await.expect(200).json();
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&job).await;
    let running = api.get(&format!("/projects/{id}")).await.json();
    assert_eq!(running["status"], "in_progress");
    assert!(running["updated_at"].as_str() > shown["updated_at"].as_str());
    let report = Report { summary: Some("did it".to_owned()), ..Report::default() };
    worker.finish(&job, attempt, Outcome::Failed, &report, None).await;
    let ended = api.get(&format!("/projects/{id}")).await.json();
    assert_eq!((&ended["status"], &ended["summary"]), (&json!("error"), &json!("did it")));
    api.job(&id, json!({"job_type": "edit", "instruction": "again"})).await;
    assert_eq!(api.get(&format!("/projects/{id}")).await.json()["status"], "queued");
}

#[tokio::test]
async fn waiting_holds_the_answer_until_the_job_is_final() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let patience = api.post("/projects?wait=200ms", &json!({"instruction": "nobody does it"})).await.expect(201);
    assert_eq!(patience.text("status"), "queued");

    let body = json!({"instruction": "somebody does it"});
    let asked = api.post("/projects?wait=60s", &body);
    let done = async {
        let job = drydock_testing::until("the job is accepted", Duration::from_secs(10), async || {
            let jobs = api.get("/jobs?status=queued").await.json();
            let job = jobs["items"].as_array().unwrap().iter().find(|job| job["instruction"] == "somebody does it")?;
            Some(job["id"].as_str().unwrap().to_owned())
        })
        .await;
        worker.publish(&job, &[("a", Content::File(b"x"))]).await;
    };
    let (answer, ()) = tokio::join!(asked, done);
    let answer = answer.expect(201);
    assert_eq!((answer.text("status"), &answer.json()["head_version"]), ("completed".to_owned(), &json!(1)));
}

#[tokio::test]
async fn a_repeated_creation_makes_one_project() {
    let api = Api::start().await;
    let body = json!({"instruction": "build once"});
    let key = [("idempotency-key", "k 1")];
    let (first, again) = tokio::join!(api.post_with("/projects", &body, &key), api.post_with("/projects", &body, &key));
    let (first, again) = (first.expect(201), again.expect(201));
    assert_eq!(first.text("id"), again.text("id"));
    let replayed =
        [&first, &again].iter().filter(|answer| answer.header("idempotency-replayed") == Some("true")).count();
    assert_eq!(replayed, 1);
    assert_eq!(api.get("/projects").await.json()["items"].as_array().unwrap().len(), 1);
    let other = api.post_with("/projects", &json!({"instruction": "another thing"}), &key).await.expect(422);
    assert_eq!(other.faults(), ["Idempotency-Key: value_error"]);
    let bad = api.post_with("/projects", &body, &[("idempotency-key", "")]).await.expect(400);
    assert_eq!(bad.error().0, "bad_request");
}

#[tokio::test]
async fn lists_are_pages_without_gaps_or_repetition() {
    let api = Api::start().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(api.project().await.0);
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut path = "/projects?limit=2".to_owned();
    loop {
        let page = api.get(&path).await.expect(200).json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) else {
            break;
        };
        path = format!("/projects?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
    let answer = api.get("/projects?limit=0&cursor=zzz&status=x").await.expect(422);
    assert_eq!(answer.faults(), ["limit: greater_than_equal", "cursor: value_error", "status: extra_forbidden"]);
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["query", "limit"]));
    assert_eq!(api.get("/projects?limit=501").await.expect(422).faults(), ["limit: less_than_equal"]);
}

const CHANGES_REFUSED: &str = r#"
    {"instruction": "  abcd "}  => instruction | String should have at least 5 characters | string_too_short
    {"agent": "x"}              => agent | no worker has ever offered agent 'x'; known are codex, dummy | value_error
    {"pool": "", "labels": 1}   => pool | String should have at least 1 character | string_too_short & labels | Input should be a valid dictionary | dict_type
    {"min_isolation": "strong"} => min_isolation | Input should be 'none', 'landlock-weak', 'landlock', 'namespace', 'userkernel' or 'vm' | enum
    {"head_version": 3}         => head_version | Extra inputs are not permitted | extra_forbidden
"#;

#[tokio::test]
async fn a_projects_settings_change_for_the_jobs_to_come() {
    let api = Api::start().await;
    let _worker = Worker::start(&api, &["dummy", "codex"]).await;
    let (id, first) = api.project().await;
    let path = format!("/projects/{id}");
    let before = api.get(&path).await.json();
    for (given, expected) in table(CHANGES_REFUSED) {
        assert_eq!(told(&api.patch(&path, &body(given)).await.expect(422)), expected, "{given}");
    }
    let nothing = api.patch(&path, &json!({"pool": "default", "labels": {}, "agent": null})).await.expect(200).json();
    assert_eq!(nothing, before, "and was not written: it would have another updated_at");

    let change = json!({"agent": "codex", "pool": "gpu", "labels": {"team": "web"}, "min_isolation": "landlock"});
    let changed = api.patch(&path, &change).await.expect(200).json();
    assert_eq!(pick(&changed, "agent pool labels min_isolation"), json!(["codex", "gpu", {"team": "web"}, "landlock"]));
    assert_eq!(changed["instruction"], before["instruction"]);
    assert!(changed["updated_at"].as_str() > before["updated_at"].as_str());
    assert_eq!(api.get(&path).await.json(), changed);
    let again = json!({"instruction": "something else", "labels": {}});
    let again = api.patch(&path, &again).await.expect(200).json();
    assert_eq!(pick(&again, "instruction labels agent"), json!(["something else", {}, "codex"]));

    let next = api.job(&id, json!({"job_type": "edit", "instruction": "go on"})).await;
    let client = api.database.client().await.unwrap();
    let accepted = async |job: &str| {
        let asked = "SELECT agent, pool, min_isolation::text FROM job WHERE id = $1";
        let row = client.query_one(asked, &[&job.parse::<uuid::Uuid>().unwrap()]).await.unwrap();
        [row.get::<_, String>(0), row.get(1), row.get(2)]
    };
    assert_eq!(accepted(&first).await, ["dummy", "default", "none"], "as it was accepted");
    assert_eq!(accepted(&next).await, ["codex", "gpu", "landlock"]);
}

#[tokio::test]
async fn a_project_that_is_not_there_cannot_be_changed() {
    let api = Api::start().await;
    let (id, _) = api.project().await;
    let change = json!({"pool": "gpu"});
    let unknown = uuid::Uuid::now_v7();
    assert_eq!(api.patch(&format!("/projects/{unknown}"), &change).await.expect(404).error().1, "Project not found");
    api.delete(&format!("/projects/{id}")).await.expect(204);
    api.patch(&format!("/projects/{id}"), &change).await.expect(404);

    let (theirs, _) = api.project().await;
    let client = api.database.client().await.unwrap();
    let give_away = "WITH other AS (INSERT INTO tenant (id, name) VALUES (gen_random_uuid(), 'other') RETURNING id)
        UPDATE project SET tenant_id = other.id FROM other WHERE project.id = $1 RETURNING project.id";
    let theirs: uuid::Uuid = theirs.parse().unwrap();
    client.query_one(give_away, &[&theirs]).await.unwrap();
    api.patch(&format!("/projects/{theirs}"), &change).await.expect(404);
    let changed: i64 = client.query_one("SELECT count(*) FROM project WHERE pool = 'gpu'", &[]).await.unwrap().get(0);
    assert_eq!(changed, 0, "neither the deleted one nor the other tenant's");
}
