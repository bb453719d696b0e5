//! The fleet and its limits, as clients see them.

use serde_json::json;

use crate::harness::{Api, Worker};

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
