//! Quotas of what waits and of what is stored: what is refused, in which words, and what goes on.

use drydock_database::tenant;
use drydock_domain::TenantId;
use reqwest::Method;
use serde_json::{Value, json};

use super::told;
use crate::harness::{Answer, Api, Content, Worker, tar};

const T: TenantId = TenantId::DEFAULT;

async fn set(api: &Api, quotas: Value) -> Value {
    api.patch(&format!("/tenants/{T}"), &quotas).await.expect(200).json()
}

fn edit() -> Value {
    json!({"job_type": "edit", "instruction": "tidy"})
}

/// A refusal for a quota, in these words.
fn over(answer: Answer, words: &str, wait: &str) {
    let answer = answer.expect(429);
    assert_eq!(told(&answer), ("rate_limited".to_owned(), format!("Quota of the tenant's {words}")));
    assert_eq!(answer.header("retry-after"), Some(wait));
}

async fn import(api: &Api, name: &str) -> Answer {
    let archive = tar(&[(name, Content::File(name.as_bytes()))]);
    let request = api.request(Method::POST, "/projects/import?instruction=an+imported+tree");
    Answer::of(request.header("content-type", "application/x-tar").body(archive)).await
}

async fn count(api: &Api, sql: &str) -> i64 {
    api.database.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_import_beyond_the_quota_of_projects_is_refused() {
    let api = Api::start().await;
    let _worker = Worker::start(&api, &["dummy"]).await;
    set(&api, json!({"max_projects": 1})).await;
    let made = import(&api, "a").await.expect(201).text("id");
    let words = "projects: 1 of 1 are used: delete some, or have an operator raise it";
    over(import(&api, "b").await, words, "60");
    assert_eq!(count(&api, "SELECT count(*) FROM project").await, 1);
    api.delete(&format!("/projects/{made}")).await;
    import(&api, "b").await.expect(201);
}

#[tokio::test]
async fn a_job_beyond_the_quota_of_queued_jobs_is_refused_until_some_have_started() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, first) = api.project().await;
    let shown = set(&api, json!({"max_queued_jobs": 2})).await;
    assert_eq!((&shown["max_queued_jobs"], &shown["queued_jobs"]), (&json!(2), &json!(1)));
    let jobs = format!("/projects/{project}/jobs");
    let keyed = async || api.post_with(&jobs, &edit(), &[("idempotency-key", "k1")]).await;
    let second = keyed().await.expect(202).text("id");
    let words = "queued jobs: 2 of 2 are used: wait until some have started, cancel some, or have an operator raise it";
    over(api.post(&jobs, &edit()).await, words, "10");
    over(api.post("/projects", &json!({"instruction": "build a thing"})).await, words, "10");
    assert_eq!(count(&api, "SELECT count(*) FROM project").await, 1, "nothing is left of it");
    assert_eq!(keyed().await.expect(202).text("id"), second, "it was accepted before");
    let usage = api.get("/usage").await.expect(200).json();
    assert_eq!((&usage["now"]["queued_jobs"], &usage["now"]["max_queued_jobs"]), (&json!(2), &json!(2)), "{usage}");

    worker.claim(&first).await;
    tenant::count(&api.database.client().await.unwrap(), T).await.unwrap();
    let third = api.post(&jobs, &edit()).await.expect(202).text("id");
    api.post(&format!("/jobs/{third}/cancel"), &json!({})).await;
    over(api.post(&format!("/jobs/{third}/retry"), &json!({})).await, words, "10");
    tenant::count(&api.database.client().await.unwrap(), T).await.unwrap();
    api.post(&format!("/jobs/{third}/retry"), &json!({})).await.expect(202);
    let lifted = set(&api, json!({"max_queued_jobs": 0})).await;
    assert_eq!((lifted.get("max_queued_jobs"), lifted.get("queued_jobs")), (None, None));
    api.post(&jobs, &edit()).await.expect(202);
}

#[tokio::test]
async fn lines_beyond_the_quota_of_held_ones_are_refused_by_number_and_leave_no_forks() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    set(&api, json!({"max_held_jobs": 3, "max_queued_jobs": 1})).await;
    let batch = api.post("/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let send = async |lines: &[Value]| {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Answer::of(api.request(Method::POST, &format!("/batches/{batch}/jobs")).body(body)).await.expect(200).json()
    };
    let plain = json!({"project_id": project, "job_type": "edit", "instruction": "tidy"});
    let fork = json!({"fork_of": project, "job_type": "edit", "instruction": "tidy"});
    let lines = [plain.clone(), fork.clone(), plain.clone(), plain, fork];
    let report = send(&lines).await;
    let numbers = ["accepted", "replayed", "refused"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(numbers, [3, 0, 2], "{report}");
    assert_eq!(report["batch"]["closed"], json!(false), "open for the lines that were refused");
    let words = "Quota of the tenant's held batch lines: 3 of 3 are used: wait until batches have let some go, cancel a batch, \
                 or have an operator raise it";
    assert_eq!(report["errors"][0], json!({"line": 4, "error": "rate_limited", "detail": words}));
    let report = send(&lines).await;
    let numbers = ["accepted", "replayed", "refused"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(numbers, [0, 3, 2], "{report}");
    // The second time it is known before a project is made for line 5.
    assert_eq!(count(&api, "SELECT count(*) FROM project").await, 3);
    set(&api, json!({"max_held_jobs": 5})).await;
    let report = send(&lines).await;
    assert_eq!(
        (&report["accepted"], &report["replayed"], &report["batch"]["closed"]),
        (&json!(2), &json!(3), &json!(true))
    );
    assert_eq!(count(&api, "SELECT count(*) FROM project").await, 3, "and is used then");
}

#[tokio::test]
async fn at_the_quota_of_stored_bytes_uploads_and_new_jobs_are_refused_and_what_is_there_can_be_read_and_removed() {
    let api = Api::start().await;
    let _worker = Worker::start(&api, &["dummy"]).await;
    let project = import(&api, "a").await.expect(201).text("id");
    let used = api.get("/usage").await.expect(200).json()["now"]["stored_bytes"].as_i64().unwrap();
    let truth = count(&api, "SELECT sum(bytes)::bigint FROM pack").await;
    assert!(used > 0 && used == truth, "{used} of {truth}");
    let batch = api.post("/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let shown = set(&api, json!({"max_storage_bytes": used})).await;
    assert_eq!((&shown["max_storage_bytes"], &shown["stored_bytes"]), (&json!(used), &json!(used)));

    let file = |name: &str| format!("/projects/{project}/files/{name}");
    let put = async |name: &str| Answer::of(api.request(Method::PUT, &file(name)).body(name.to_owned())).await;
    let remedy = "delete projects or keep fewer versions, or have an operator raise it";
    let words = format!("stored bytes: {used} of {used} are used: {remedy}");
    over(put("b").await, &words, "60");
    over(import(&api, "b").await, &words, "60");
    let patch = api.request(Method::PATCH, &format!("/projects/{project}/files"));
    let archive = tar(&[("c", Content::File(b"c"))]);
    over(Answer::of(patch.header("content-type", "application/x-tar").body(archive)).await, &words, "60");
    over(api.post(&format!("/projects/{project}/jobs"), &edit()).await, &words, "60");
    over(api.post("/projects", &json!({"instruction": "build a thing"})).await, &words, "60");
    let line = json!({"project_id": project, "job_type": "edit", "instruction": "tidy"});
    let report = api.post(&format!("/batches/{batch}/jobs"), &line).await.expect(200).json();
    assert_eq!((&report["refused"], &report["errors"][0]["error"]), (&json!(1), &json!("rate_limited")), "{report}");

    // With a byte of room it begins, and ends where it would go beyond.
    set(&api, json!({"max_storage_bytes": used + 1})).await;
    let refused = import(&api, "b").await.expect(429);
    let (error, detail) = told(&refused);
    assert!(error == "rate_limited" && refused.header("retry-after") == Some("60"), "{detail}");
    let start = format!("Quota of the tenant's stored bytes: {used} of {} are used, and ", used + 1);
    assert!(detail.starts_with(&start) && detail.ends_with(remedy), "{detail}");
    assert_eq!(count(&api, "SELECT count(*) FROM version").await, 1);
    assert_eq!(count(&api, "SELECT sum(bytes)::bigint FROM pack").await, used, "nothing is kept of what was refused");

    // The same bytes again are no further ones.
    import(&api, "a").await.expect(201);
    set(&api, json!({"max_storage_bytes": used})).await;
    api.get(&file("a")).await.expect(200);
    api.delete(&file("a")).await.expect(200);
    api.post(&format!("/projects/{project}/fork"), &json!({})).await.expect(201);
    let lifted = set(&api, json!({"max_storage_bytes": 0})).await;
    assert_eq!((lifted.get("max_storage_bytes"), &lifted["stored_bytes"]), (None, &json!(used)));
    put("b").await.expect(201);
    api.post(&format!("/projects/{project}/jobs"), &edit()).await.expect(202);
    for (name, value) in
        [("max_queued_jobs", json!(-1)), ("max_held_jobs", json!("x")), ("max_storage_bytes", json!(1.5))]
    {
        let refused = api.patch(&format!("/tenants/{T}"), &json!({name: value})).await.expect(422);
        assert!(refused.faults()[0].starts_with(name), "{:?}", refused.faults());
    }
}
