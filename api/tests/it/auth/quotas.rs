//! What a tenant may have, and what it is told beyond that.

use reqwest::Method;
use serde_json::{Value, json};

use super::told;
use crate::harness::{Answer, Api};

#[tokio::test]
async fn a_project_beyond_the_quota_is_refused_however_it_is_made_until_there_is_room() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let other = api.tenant(&admin.key, "second").await;
    let whoami = api.get_as(&admin.key, "/whoami").await.expect(200).json();
    let tenant = format!("/tenants/{}", whoami["tenant"]["id"].as_str().unwrap());
    let set = async |body: Value| api.with(&admin.key, Method::PATCH, &tenant, &body).await;
    let project = json!({"instruction": "build a thing"});
    let create = async |key: &str| api.post_as(key, "/projects", &project).await;
    let one = create(&admin.key).await.expect(201).text("id");
    let keyed = |key: &str| {
        api.request(Method::POST, "/projects").bearer_auth(key).header("idempotency-key", "k1").json(&project)
    };
    let two = Answer::of(keyed(&admin.key)).await.expect(201).text("id");
    let shown = set(json!({"max_projects": 2, "max_running": 5})).await.expect(200).json();
    assert_eq!((&shown["max_projects"], &shown["projects"], &shown["max_running"]), (&json!(2), &json!(2), &json!(5)));

    let refused = create(&admin.key).await.expect(429);
    let words = "Quota of the tenant's projects: 2 of 2 are used: delete some, or have an operator raise it";
    assert_eq!(told(&refused), ("rate_limited".to_owned(), words.to_owned()));
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(keyed(&admin.key).send().await.unwrap().status(), 201, "it was made before");
    let fork = format!("/projects/{one}/fork");
    api.post_as(&admin.key, &fork, &json!({})).await.expect(429);
    let batch = api.post_as(&admin.key, "/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let lines = format!("/batches/{batch}/jobs");
    let line = json!({"fork_of": two, "job_type": "edit", "instruction": "tidy"});
    let report = api.post_as(&admin.key, &lines, &line).await.expect(200).json();
    assert_eq!((&report["accepted"], &report["refused"]), (&json!(0), &json!(1)), "{report}");
    assert!(report.to_string().contains(words), "{report}");
    create(&other.key).await.expect(201);

    let deleted = api.with(&admin.key, Method::DELETE, &format!("/projects/{one}"), &Value::Null).await;
    assert!(deleted.status < 300, "{}", deleted.status);
    create(&admin.key).await.expect(201);
    create(&admin.key).await.expect(429);
    set(json!({"max_projects": 3})).await.expect(200);
    let report = api.post_as(&admin.key, &lines, &line).await.expect(200).json();
    assert_eq!(report["accepted"], json!(1), "the same line again: {report}");
    create(&admin.key).await.expect(429);
    let lifted = set(json!({"max_projects": 0})).await.expect(200).json();
    assert_eq!((lifted.get("max_projects"), &lifted["max_running"]), (None, &json!(5)));
    for _ in 0..3 {
        create(&admin.key).await.expect(201);
    }
    assert_eq!(set(json!({"max_projects": -1})).await.expect(422).faults(), ["max_projects: greater_than_equal"]);
}

#[tokio::test]
async fn of_many_at_once_as_many_as_there_is_room_for_are_made() {
    let api = Api::start().await;
    let id = drydock_domain::TenantId::DEFAULT;
    api.patch(&format!("/tenants/{id}"), &json!({"max_projects": 3})).await.expect(200);
    let project = json!({"instruction": "build a thing"});
    let made = futures_util::future::join_all((0..12).map(|_| api.post("/projects", &project))).await;
    let count = |status: u16| made.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(429)), (3, 9));
}
