//! Who reads whose usage. Counted as the dispatcher's leader does it.

use std::time::Duration;

use chrono::{Days, Utc};
use drydock_database::{report::Report, usage};
use drydock_domain::Outcome;
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
    let used =
        json!({"id": batch, "name": "many", "jobs": {"completed": 0, "error": 0, "cancelled": 0}, "slot_seconds": 0.0});
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
async fn what_is_asked_for_must_make_sense() {
    let api = Api::start().await;
    for (query, faults) in [
        ("since=2026-1-1", "since: date_parsing"),
        ("until=yesterday", "until: date_parsing"),
        ("since=2026-02-30", "since: date_parsing"),
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
