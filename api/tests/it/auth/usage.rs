//! Who reads whose usage. Counted as the dispatcher's leader does it.

use std::time::Duration;

use chrono::{Days, Utc};
use drydock_database::{report::Report, usage};
use drydock_domain::{Outcome, agent::Tokens};
use serde_json::{Value, json};

use super::told;
use crate::harness::{Api, Worker};

/// Counts until all ended jobs are in; other tests' transactions may hold events back for a moment.
async fn counted(api: &Api, jobs: i32) {
    let client = api.database.client().await.unwrap();
    let mut seen = 0;
    while seen < jobs {
        seen += drydock_testing::until("an ended job is counted", Duration::from_secs(20), async || {
            let counted = usage::count(&client, 1000).await.unwrap();
            (counted.jobs > 0).then_some(counted.jobs)
        })
        .await;
    }
    assert_eq!(seen, jobs);
}

async fn ended(api: &Api, worker: &Worker, job: &str, seconds: i32, outcome: Outcome) {
    let attempt = worker.claim(job).await;
    let earlier = "UPDATE attempt SET started_at = clock_timestamp() - make_interval(secs => $2::int) WHERE id = $1";
    api.database.client().await.unwrap().execute(earlier, &[&attempt.uuid(), &seconds]).await.unwrap();
    worker.finish(job, attempt, outcome, &Report { log_bytes: 1000, ..Report::default() }, None).await;
}

fn sum(view: &Value) -> f64 {
    view["items"].as_array().unwrap().iter().map(|item| item["slot_seconds"].as_f64().unwrap()).sum()
}

#[tokio::test]
async fn usage_is_told_by_day_project_and_batch_and_is_the_tenants_own() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let made = async |instruction: &str| {
        let made = api.post_as(&admin.key, "/projects", &json!({"instruction": instruction})).await.expect(201);
        (made.text("id"), made.text("job_id"))
    };
    let ((small, first), (big, second)) = (made("a small thing").await, made("a big thing").await);
    ended(&api, &worker, &first, 60, Outcome::Succeeded).await;
    ended(&api, &worker, &second, 3600, Outcome::Failed).await;
    counted(&api, 2).await;

    let read = async |query: &str| api.get_as(&admin.key, &format!("/usage{query}")).await.expect(200).json();
    let by_project = read("?by=project").await;
    let [most, least] = &by_project["items"].as_array().unwrap()[..] else { panic!("{by_project}") };
    assert_eq!((&most["id"], &least["id"]), (&json!(big), &json!(small)));
    assert_eq!(most["jobs"], json!({"completed": 0, "error": 1, "cancelled": 0}));
    assert_eq!((&most["attempts"], &most["log_bytes"], &most["stored_bytes"]), (&json!(1), &json!(1000), &json!(0)));
    let slots = |item: &Value| item["slot_seconds"].as_f64().unwrap();
    assert!((3600.0..3630.0).contains(&slots(most)) && (60.0..90.0).contains(&slots(least)), "{by_project}");
    let page = read("?by=project&limit=1").await;
    let next = page["next_cursor"].as_str().unwrap();
    assert_eq!(read(&format!("?by=project&limit=1&cursor={next}")).await["items"], json!([least]));
    let by_day = read("").await;
    assert!((sum(&by_day) - sum(&by_project)).abs() < 0.002, "{by_day}");
    let today = Utc::now().date_naive();
    assert_eq!((&by_day["until"], &by_day["since"]), (&json!(today), &json!(today - Days::new(29))));
    assert_eq!(read("?since=2020-01-01&until=2020-12-31").await["items"], json!([]));

    // Deleted, it has still used what it used.
    let path = format!("/projects/{big}");
    api.with(&admin.key, reqwest::Method::DELETE, &path, &Value::Null).await;
    assert_eq!(read("?by=project").await, by_project);

    let batch = api.post_as(&admin.key, "/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let batches = read("?by=batch").await;
    let used = json!({"id": batch, "name": "many", "jobs": {"completed": 0, "error": 0, "cancelled": 0}, "slot_seconds": 0.0,
               "tokens": {"input": 0, "cached_input": 0, "output": 0}});
    assert_eq!(batches["items"], json!([used]));
    assert_eq!(read("?by=batch&since=2020-01-01&until=2020-12-31").await["items"], json!([]));

    let stranger = api.tenant(&admin.key, "second").await;
    assert_eq!(api.get_as(&stranger.key, "/usage?by=project").await.expect(200).json()["items"], json!([]));
    assert_eq!(api.get_as(&stranger.key, "/usage?by=batch").await.expect(200).json()["items"], json!([]));
    let refused = api.get_as(&stranger.key, "/usage/tenants").await.expect(403);
    assert!(told(&refused).1.contains("tenants:read"), "{}", told(&refused).1);
    let operator = api.key_of_role(&admin.key, "operator").await;
    let tenants = api.get_as(&operator, "/usage/tenants").await.expect(200).json();
    assert_eq!((&tenants["items"][0]["name"], tenants["items"].as_array().unwrap().len()), (&json!("default"), 1));
    assert!((sum(&tenants) - sum(&by_project)).abs() < 0.002, "{tenants}");
    api.get_as(&operator, "/usage").await.expect(403);
}

#[tokio::test]
async fn tokens_are_told_by_attempt_job_batch_project_and_tenant() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, first) = api.project().await;
    let tokens = |input, cached_input, output| Some(Tokens { input, cached_input, output });
    let told = |input: u64, cached_input: u64, output: u64| json!({"input": input, "cached_input": cached_input, "output": output});
    let finish = async |job: &str, outcome, tokens| {
        let attempt = worker.claim(job).await;
        let report = Report { tokens, ..Report::default() };
        worker.finish(job, attempt, outcome, &report, None).await;
        let again = worker.try_finish(job, attempt, outcome, &report, None).await;
        assert_eq!(again, drydock_database::job::Finished::Already);
    };
    finish(&first, Outcome::Interrupted, tokens(7, 2, 1)).await;
    finish(&first, Outcome::Succeeded, tokens(100, 90, 20)).await;
    let job = api.get(&format!("/jobs/{first}")).await.expect(200).json();
    assert_eq!(job["tokens"], told(107, 92, 21), "{job}");
    assert_eq!(job["attempts"][0]["tokens"], told(7, 2, 1));
    let silent = api.job(&project, json!({"job_type": "edit", "instruction": "tidy"})).await;
    finish(&silent, Outcome::Succeeded, None).await;
    let job = api.get(&format!("/jobs/{silent}")).await.expect(200).json();
    assert!(job.get("tokens").is_none() && job["attempts"][0].get("tokens").is_none(), "{job}");

    let made = api.post("/batches", &json!({"name": "many", "budget_tokens": 40})).await.expect(201);
    assert_eq!((&made.json()["tokens"], &made.json()["budget_tokens"]), (&told(0, 0, 0), &json!(40)));
    let batch = format!("/batches/{}", made.text("id"));
    let line = json!({"project_id": project, "job_type": "edit", "instruction": "tidy"});
    api.post(&format!("{batch}/jobs"), &line).await.expect(200);
    let client = api.database.client().await.unwrap();
    let step = async || drydock_database::batch::step(&client, made.text("id").parse().unwrap(), 9, 9).await.unwrap();
    step().await;
    let id = api.get(&format!("/jobs?batch={}", made.text("id"))).await.expect(200).json()["items"][0]["id"].clone();
    finish(id.as_str().unwrap(), Outcome::Interrupted, tokens(30, 0, 10)).await;
    assert_eq!(api.get(&batch).await.expect(200).json()["tokens"], told(30, 0, 10));
    step().await;
    assert_eq!(api.get(&batch).await.json()["pause_reason"], json!("budget"));
    let refused = api.post(&format!("{batch}/resume"), &json!({})).await.expect(409);
    assert!(refused.error().1.as_str().unwrap().contains("raise budget_slot_minutes or budget_tokens"));
    assert_eq!(
        api.patch(&batch, &json!({"budget_tokens": 0})).await.expect(422).faults(),
        ["budget_tokens: greater_than_equal"]
    );
    assert_eq!(api.patch(&batch, &json!({"budget_tokens": 41})).await.expect(200).json()["budget_tokens"], json!(41));
    api.post(&format!("{batch}/resume"), &json!({})).await.expect(200);

    counted(&api, 2).await;
    for path in ["/usage", "/usage?by=project", "/usage/tenants"] {
        let usage = api.get(path).await.expect(200).json();
        assert_eq!(usage["items"][0]["tokens"], told(107, 92, 21), "{path}: {usage}");
    }
    assert_eq!(api.get("/usage?by=batch").await.json()["items"][0]["tokens"], told(30, 0, 10));
}

#[tokio::test]
async fn what_is_asked_for_must_make_sense() {
    let api = Api::start().await;
    for (query, faults) in [
        ("since=2026-1-1", "since: date_parsing"),
        ("until=yesterday", "until: date_parsing"),
        ("since=2026-02-30", "since: date_parsing"),
        ("since=-99999-1-1", "since: date_parsing"),
        ("since=2026-02-02&until=2026-02-01", "since: value_error"),
        ("since=2020-01-01&until=2021-01-01", "since: value_error"),
        ("by=week", "by: enum"),
        ("by=day&limit=3", "limit: extra_forbidden"),
        ("by=project&limit=0", "limit: greater_than_equal"),
        ("by=project&cursor=x", "cursor: value_error"),
        ("by=batch&cursor=x", "cursor: value_error"),
        ("tenant=x", "tenant: extra_forbidden"),
    ] {
        assert_eq!(api.get(&format!("/usage?{query}")).await.expect(422).faults(), [faults], "{query}");
    }
    api.get("/usage?since=2020-01-01&until=2020-12-31").await.expect(200);
    assert_eq!(api.get("/usage/tenants?by=day").await.expect(422).faults(), ["by: extra_forbidden"]);
}
