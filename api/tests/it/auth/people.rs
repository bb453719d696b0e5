//! Users and tenants that change, and what ends with them.

use drydock_database::{
    Client,
    job::{self, Term},
    leader,
    report::Report,
    schedule::{self, Fired},
};
use drydock_domain::{JobId, Outcome, TenantId, UserId};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Made, Replica, told};
use crate::harness::{Answer, Api, PATIENCE, Worker, names};

impl Api {
    async fn patch_as(&self, key: &str, path: &str, body: &Value, tag: Option<&str>) -> Answer {
        let request = self.request(Method::PATCH, path).bearer_auth(key).json(body);
        Answer::of(tag.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
    }

    async fn user(&self, key: &str, name: &str, role: &str) -> String {
        let body = json!({"name": name, "email": format!("{name}@example.org"), "role": role});
        self.post_as(key, "/users", &body).await.expect(201).text("id")
    }

    async fn own_tenant(&self, key: &str) -> String {
        self.get_as(key, "/whoami").await.expect(200).json()["tenant"]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_user_changes_as_asked_and_only_while_it_is_as_expected() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let id = api.user(&admin, "ada", "member").await;
    let path = format!("/users/{id}");
    let shown = api.get_as(&admin, &path).await.expect(200);
    assert_eq!((shown.header("etag"), names(&shown.json()).as_str()), (Some("\"1\""), "created_at email id name role"));
    let named = api.patch_as(&admin, &path, &json!({"name": "Ada"}), Some("\"1\"")).await.expect(200);
    assert_eq!(
        (named.header("etag"), named.text("name"), named.text("role")),
        (Some("\"2\""), "Ada".into(), "member".into())
    );
    let refused = api.patch_as(&admin, &path, &json!({"role": "viewer"}), Some("\"1\"")).await.expect(412);
    assert_eq!(told(&refused).1, "The user was changed: look at it, then send If-Match: \"2\"");
    let same = api.patch_as(&admin, &path, &json!({"name": "Ada", "role": null}), None).await.expect(200);
    assert_eq!(same.header("etag"), Some("\"2\""), "what is so already is no change");
    let off = api.patch_as(&admin, &path, &json!({"disabled": true}), Some("*")).await.expect(200);
    let again = api.patch_as(&admin, &path, &json!({"disabled": true}), None).await.expect(200);
    assert!(off.json()["disabled_at"].is_string() && off.json() == again.json());
    api.patch_as(&admin, &path, &json!({"disabled": false, "role": "owner"}), None).await.expect(200);
    let shown = api.get_as(&admin, &path).await.expect(200).json();
    assert_eq!((&shown["role"], &shown["disabled_at"]), (&json!("owner"), &Value::Null));
    assert_eq!(api.get_as(&admin, "/users").await.expect(200).json()["items"][0], shown);
    let bad = json!({"name": "", "role": "king", "disabled": "yes", "email": "new@example.org"});
    let faults = api.patch_as(&admin, &path, &bad, None).await.expect(422).faults();
    assert_eq!(faults, ["name: string_too_short", "role: enum", "disabled: bool_type", "email: extra_forbidden"]);
    for nobody in ["x".to_owned(), UserId::generate().to_string()] {
        let answer = api.patch_as(&admin, &format!("/users/{nobody}"), &json!({"name": "x"}), None).await.expect(404);
        assert_eq!(told(&answer).1, "User not found");
    }
}

#[tokio::test]
async fn nobody_raises_a_user_beyond_themselves() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let owner = api.key_of_role(&admin, "owner").await;
    let (chief, member) = (api.user(&admin, "chief", "admin").await, api.user(&admin, "mo", "member").await);
    api.user(&admin, "other", "owner").await;
    let asked = async |id: &str, body: Value| api.patch_as(&owner, &format!("/users/{id}"), &body, None).await;
    let (error, detail) = told(&asked(&member, json!({"role": "admin"})).await.expect(403));
    assert!(error == "forbidden" && detail.contains("would give fleet:read"), "{detail}");
    asked(&member, json!({"role": "owner"})).await.expect(200);
    // Ending somebody needs no more rights than to manage users; bringing them back does.
    asked(&chief, json!({"disabled": true})).await.expect(200);
    asked(&chief, json!({"disabled": false})).await.expect(403);
    asked(&chief, json!({"disabled": false, "role": "admin"})).await.expect(403);
    asked(&chief, json!({"disabled": false, "role": "viewer"})).await.expect(200);
}

#[tokio::test]
async fn the_last_owner_stays() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let (one, two) = (api.user(&admin, "one", "owner").await, api.user(&admin, "two", "admin").await);
    api.user(&admin, "three", "member").await;
    let ask = async |id: &str, body: Value| api.patch_as(&admin, &format!("/users/{id}"), &body, None).await;
    ask(&two, json!({"role": "operator"})).await.expect(200);
    for body in [json!({"disabled": true}), json!({"role": "member"}), json!({"role": "operator", "name": "x"})] {
        let answer = ask(&one, body).await.expect(409);
        assert_eq!(
            told(&answer),
            ("conflict".into(), "This is the last owner of the tenant: make another user an owner first".into())
        );
    }
    ask(&one, json!({"role": "admin", "name": "One"})).await.expect(200);
    // Another tenant's owner is none of this one's.
    let second = api.tenant(&admin, "second").await.key;
    api.user(&second, "theirs", "owner").await;
    ask(&one, json!({"disabled": true})).await.expect(409);
    // Two who end each other at the same time: one stays, every time.
    for _ in 0..10 {
        for id in [&one, &two] {
            ask(id, json!({"role": "owner", "disabled": false})).await.expect(200);
        }
        let ended = join_all([&one, &two].map(async |id| ask(id, json!({"disabled": true})).await.status)).await;
        assert_eq!(ended.iter().filter(|status| **status == 200).count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn a_users_rights_end_with_a_change_here_at_once_and_elsewhere_in_time() {
    let api = Api::start_with(&["--key-cache", "2s"]).await;
    let admin = api.first_key().await.key;
    let other = Replica::beside(&api, &["--key-cache", "2s"], |_| {}).await;
    other.ready().await;
    let id = api.user(&admin, "mo", "member").await;
    let Made { key, .. } = api.key(&admin, &json!({"name": "hers", "role": "member", "user_id": id})).await;
    let there = async || Answer::of(other.get("/jobs").bearer_auth(&key)).await.status;
    let write = json!({"instruction": "build a thing"});
    api.post_as(&key, "/projects", &write).await.expect(201);
    assert_eq!(there().await, 200);
    api.patch_as(&admin, &format!("/users/{id}"), &json!({"role": "viewer"}), None).await.expect(200);
    api.post_as(&key, "/projects", &write).await.expect(403);
    api.patch_as(&admin, &format!("/users/{id}"), &json!({"disabled": true}), None).await.expect(200);
    assert_eq!(told(&api.get_as(&key, "/jobs").await.expect(401)).1, "The user of this API key is disabled");
    drydock_testing::until("the other replica refuses it", PATIENCE, async || (there().await == 401).then_some(()))
        .await;
    api.patch_as(&admin, &format!("/users/{id}"), &json!({"disabled": false}), None).await.expect(200);
    api.get_as(&key, "/jobs").await.expect(200);
}

#[tokio::test]
async fn a_tenant_changes_as_asked() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let second = api.tenant(&admin, "second").await.key;
    let path = format!("/tenants/{}", api.own_tenant(&second).await);
    let shown = api.get_as(&admin, &path).await.expect(200);
    assert_eq!((shown.header("etag"), &shown.json()["weight"]), (Some("\"1\""), &json!(1)));
    let changed =
        api.patch_as(&admin, &path, &json!({"name": "renamed", "weight": 3}), Some("\"1\"")).await.expect(200);
    assert_eq!(
        (changed.header("etag"), changed.text("name"), &changed.json()["weight"]),
        (Some("\"2\""), "renamed".into(), &json!(3))
    );
    assert_eq!(api.get_as(&second, "/whoami").await.expect(200).json()["tenant"]["name"], "renamed");
    let stale = api.patch_as(&admin, &path, &json!({"weight": 4}), Some("\"1\"")).await.expect(412);
    assert_eq!(told(&stale).1, "The tenant was changed: look at it, then send If-Match: \"2\"");
    let taken = api.patch_as(&admin, &path, &json!({"name": "default"}), None).await.expect(409);
    assert_eq!(told(&taken).1, "There is a tenant with this name");
    let bad = api.patch_as(&admin, &path, &json!({"name": "a b", "weight": 0, "disabled": 1}), None).await.expect(422);
    assert_eq!(bad.faults(), ["name: string_pattern_mismatch", "weight: greater_than_equal", "disabled: bool_type"]);
    assert_eq!(api.get_as(&admin, &path).await.expect(200).json(), changed.json(), "and nothing else happened");
    let own = format!("/tenants/{}", api.own_tenant(&admin).await);
    let (_, detail) = told(&api.patch_as(&admin, &own, &json!({"disabled": true}), None).await.expect(409));
    assert!(detail.starts_with("This is your own tenant"), "{detail}");
    api.patch_as(&second, &path, &json!({"weight": 9}), None).await.expect(403);
}

#[tokio::test]
async fn a_tenant_that_is_disabled_starts_nothing_and_is_let_in_nowhere() {
    let api = Api::start_with(&["--key-cache", "100ms"]).await;
    let admin = api.first_key().await.key;
    let second = api.tenant(&admin, "second").await.key;
    let tenant: TenantId = api.own_tenant(&second).await.parse().unwrap();
    let path = format!("/tenants/{tenant}");
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = json!({"instruction": "build a thing"});
    let runs = api.post_as(&second, "/projects", &project).await.expect(201).text("job_id");
    let attempt = worker.claim(&runs).await;
    let made = api.post_as(&second, "/projects", &project).await.expect(201);
    let (waits, project) = (made.text("job_id"), made.text("id"));
    let schedule = json!({"name": "n", "project_id": project, "cron": "@daily", "job": {"job_type": "edit", "instruction": "tidy"}});
    api.post_as(&second, "/schedules", &schedule).await.expect(201);
    let stream = api.stream("/events", &[("authorization", &format!("Bearer {second}"))]).await;
    let off = async |off: bool| api.patch_as(&admin, &path, &json!({"disabled": off}), None).await.expect(200);
    assert!(off(true).await.json()["disabled_at"].is_string());

    for refused in [
        api.get_as(&second, "/jobs").await,
        api.post_as(&second, "/projects", &json!({"instruction": "more of it"})).await,
    ] {
        assert_eq!(told(&refused.expect(401)).1, "The tenant of this API key is disabled");
    }
    let client = api.database.client().await.unwrap();
    let mut stream = stream;
    while stream.next().await.is_some() {}
    assert_eq!(admitted(&client).await, [], "what waits stays where it is");
    client.batch_execute("UPDATE schedule SET next_at = now() - interval '1 minute'").await.unwrap();
    let due = schedule::due(&client, 10).await.unwrap().pop().unwrap();
    let fired = schedule::fire(&client, &due, Some(due.now + chrono::TimeDelta::days(1)), true).await.unwrap();
    assert_eq!(fired, Fired::Skipped);
    worker.finish(&runs, attempt, Outcome::Failed, &Report::default(), None).await;
    let ended = job::find(&client, tenant, runs.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(ended.state.as_str(), "failed", "what runs goes on to its end");

    assert_eq!(off(false).await.json()["disabled_at"], Value::Null);
    api.get_as(&second, "/jobs").await.expect(200);
    assert_eq!(admitted(&client).await, [waits.parse().unwrap()]);
}

/// What a leader admits now.
async fn admitted(client: &Client) -> Vec<JobId> {
    let holder = uuid::Uuid::from_u128(7);
    let number = leader::lead(client, holder, std::time::Duration::from_secs(60)).await.unwrap().unwrap();
    let tickets = job::admit(client, Term { holder, number }, 100, 100, &[]).await.unwrap();
    tickets.iter().map(|dispatch| dispatch.ticket.job).collect()
}
