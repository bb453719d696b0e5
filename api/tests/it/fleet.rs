//! The fleet and its limits, as clients see them.

use drydock_database::{pool_count, report::Report, worker};
use drydock_domain::{Outcome, WorkerId};
use serde_json::json;

use crate::{
    auth::Replica,
    harness::{Answer, Api, Worker},
};

#[tokio::test]
async fn workers_and_limits_are_told() {
    let api = Api::start().await;
    assert_eq!(api.get("/workers").await.expect(200).json(), json!({"items": []}));
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, job) = api.project().await;
    worker.claim(&job).await;
    let listed = api.get("/workers").await.json()["items"][0].clone();
    assert_eq!((&listed["state"], &listed["busy"], &listed["slots"]), (&json!("live"), &json!(1), &json!(4)));
    assert_eq!(listed["agents"], json!(["dummy"]));
    let of_pool =
        async |pool: &str| api.get(&format!("/workers?pool={pool}")).await.expect(200).json()["items"].clone();
    assert_eq!((of_pool("default").await.as_array().unwrap().len(), of_pool("gpu").await), (1, json!([])));
    assert_eq!(
        api.get("/workers?pool=a%20b&x=1").await.expect(422).faults(),
        ["pool: string_pattern_mismatch", "x: extra_forbidden"]
    );
    let limits = api.get("/limits").await.expect(200).json();
    let expected =
        [("body_bytes", 1024 * 1024), ("project_instruction_min", 5), ("instruction_max", 2000), ("page_max", 500)];
    for (name, value) in expected {
        assert_eq!(limits[name], value, "{name}");
    }
    assert_eq!(api.get("/limits?x=1").await.expect(422).faults(), ["x: extra_forbidden"]);
}

#[tokio::test]
async fn an_agent_nobody_offers_is_refused_and_the_default_trusted_at_first() {
    let api = Api::start().await;
    let asked = json!({"instruction": "build it", "agent": "codex"});
    let refused = api.post("/projects", &asked).await.expect(422).json()["detail"][0]["msg"].clone();
    assert_eq!(refused, "no worker has ever offered agent 'codex', nor any other");
    api.post("/projects", &json!({"instruction": "build it"})).await.expect(201);
    let _worker = Worker::start(&api, &["codex"]).await;
    api.post("/projects", &asked).await.expect(201);
    let refused = api.post("/projects", &json!({"instruction": "build it"})).await.expect(422);
    assert_eq!(refused.faults(), ["agent: value_error"], "the default agent, now that it is known to be missing");
}

#[tokio::test]
async fn pools_are_told_with_what_the_dispatcher_counted() {
    let api = Api::start().await;
    assert_eq!(api.get("/pools").await.expect(200).json(), json!({"items": []}));
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    worker.claim(&job).await;
    api.job(&project, json!({"job_type": "edit", "instruction": "later"})).await;
    let uncounted = api.get("/pools").await.expect(200).json()["items"][0].clone();
    let known = json!({"name": "default", "agents": ["dummy"], "sessions": [], "isolation": ["none"], "slots": {"total": 4, "busy": 1, "free": 3},
                       "workers": {"live": 1, "draining": 0, "drained": 0, "lost": 0}});
    assert_eq!(uncounted, known);
    pool_count::count(&api.database.client().await.unwrap()).await.unwrap();
    let mut counted = api.get("/pools?pool=default").await.expect(200).json()["items"][0]["jobs"].take();
    assert!(counted.as_object_mut().unwrap().remove("counted_at").unwrap().is_string());
    let jobs = json!({"scheduled": 0, "pending": 1, "queued": 0, "backing_off": 0, "dispatched": 0, "running": 1,
                      "demand_slots": 1, "oldest_wait_s": 0.0});
    assert_eq!(counted, jobs);
    assert_eq!(api.get("/pools?pool=gpu").await.expect(200).json(), json!({"items": []}));
    assert_eq!(api.get("/pools?pool=a%20b").await.expect(422).faults(), ["pool: string_pattern_mismatch"]);
}

#[tokio::test]
async fn a_worker_is_drained_and_takes_jobs_again() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    let path = format!("/workers/{}", worker.id());
    let drain = format!("{path}/drain");
    let shown = api.get(&path).await.expect(200).json();
    assert_eq!(shown, api.get("/workers").await.json()["items"][0]);
    assert_eq!((&shown["state"], &shown["drain_asked_at"]), (&json!("live"), &json!(null)));
    let asked = Answer::of(api.request(reqwest::Method::POST, &drain)).await.expect(200).json();
    assert_eq!((&asked["state"], &asked["id"]), (&json!("draining"), &shown["id"]));
    assert!(asked["drain_asked_at"].is_string(), "{asked}");
    let again = Answer::of(api.request(reqwest::Method::POST, &drain)).await.expect(200).json();
    assert_eq!(again["drain_asked_at"], asked["drain_asked_at"]);
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default(), None).await;
    assert_eq!(api.get(&path).await.expect(200).text("state"), "drained");
    // Another API, and so one that was restarted, knows it too.
    let other = Replica::beside(&api, &[], |_| {}).await;
    other.ready().await;
    assert_eq!(Answer::of(other.get(&path)).await.expect(200).text("state"), "drained");
    for _ in 0..2 {
        let undrained = api.delete(&drain).await.expect(200).json();
        assert_eq!((&undrained["state"], &undrained["drain_asked_at"]), (&json!("live"), &json!(null)));
    }
    // It stops by itself.
    worker::drain(&api.database.client().await.unwrap(), worker.id()).await.unwrap();
    Answer::of(api.request(reqwest::Method::POST, &drain)).await.expect(200);
    let refused = api.delete(&drain).await.expect(409).text("detail");
    assert!(refused.contains("it stops") && refused.contains("start another"), "{refused}");
    for unknown in [WorkerId::generate().to_string(), "x".to_owned()] {
        assert_eq!(api.get(&format!("/workers/{unknown}")).await.expect(404).text("detail"), "Worker not found");
        assert_eq!(
            api.delete(&format!("/workers/{unknown}/drain")).await.expect(404).text("detail"),
            "Worker not found"
        );
    }
    worker::end(&api.database.client().await.unwrap(), worker.id()).await.unwrap();
    api.get(&path).await.expect(404);
}

#[tokio::test]
async fn older_paths_say_so_and_name_what_to_ask() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let told = |answer: &Answer, successor: &str| {
        assert_eq!(answer.header("deprecation"), Some("@1796083200"));
        assert_eq!(answer.header("sunset"), Some("Sat, 01 Jan 2028 00:00:00 GMT"));
        let links: Vec<&str> = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
        let successor = format!("</api/v1/projects/{project}{successor}>; rel=\"successor-version\"");
        assert_eq!(links, [r#"</docs>; rel="deprecation"; type="text/html""#, successor.as_str()]);
    };
    let body = json!({"job_type": "edit", "instruction": "tidy"});
    told(&api.post(&format!("/{project}/jobs"), &body).await.expect(202), "/jobs");
    told(&api.get(&format!("/{project}/files?version=0")).await.expect(200), "/files?version=0");
    told(&api.get(&format!("/{project}/files/a%20b")).await.expect(404), "/files/a%20b");
    let newer = api.get(&format!("/projects/{project}/files?version=0")).await.expect(200);
    assert_eq!((newer.header("deprecation"), newer.header("link")), (None, None));
    assert_eq!(newer.json(), api.get(&format!("/{project}/files?version=0")).await.json());
}
