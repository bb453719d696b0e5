//! A key from its making to its end, and what asking with one costs.

use std::time::{Duration, Instant};

use drydock_database::api_key::{self, NewApiKey};
use drydock_domain::{ApiKey, ApiKeyId, Role, TenantId};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Made, Replica, told};
use crate::harness::{Answer, Api, PATIENCE, names};

const EXPIRED: &str = "API key has expired";
const REVOKED: &str = "API key is revoked";

/// The first refusal of `key`, by `ask`.
async fn refusal(what: &'static str, ask: impl AsyncFn() -> Answer) -> String {
    drydock_testing::until(what, PATIENCE, async || {
        let answer = ask().await;
        (answer.status == 401).then(|| answer.text("detail"))
    })
    .await
}

/// A key made behind the API's back.
pub(super) async fn made(api: &Api, lifetime: Option<Duration>) -> String {
    let key = ApiKey::generate();
    let new = NewApiKey {
        id: ApiKeyId::generate(),
        tenant: TenantId::DEFAULT,
        user: None,
        name: "behind its back".to_owned(),
        prefix: key.prefix(),
        hash: key.hash(),
        role: Role::Member,
        scopes: None,
        lifetime,
    };
    api_key::create(&api.database.client().await.unwrap(), &new).await.unwrap();
    key.text().expose_secret().to_owned()
}

#[tokio::test]
async fn a_key_is_shown_once_and_says_who_has_it() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let asked = json!({"name": " ci ", "role": "member", "scopes": ["jobs:write", "jobs:read"], "expires_in_s": 3600});
    let answer = api.post_as(&admin.key, "/keys", &asked).await.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let view = answer.json();
    assert_eq!(answer.header("location"), Some(format!("/api/v1/keys/{}", view["id"].as_str().unwrap()).as_str()));
    assert_eq!(names(&view), "created_at expires_at id key name prefix role scopes");
    assert_eq!((&view["name"], &view["scopes"]), (&json!("ci"), &json!(["jobs:read", "jobs:write"])));
    let Made { id, key } = Made::of(&view);
    assert_eq!(key.split('_').nth(1), view["prefix"].as_str());
    let shown = api.get_as(&admin.key, &format!("/keys/{id}")).await.expect(200).json();
    assert_eq!(names(&shown), "created_at expires_at id name prefix role scopes");
    assert_eq!(api.get_as(&admin.key, "/keys").await.expect(200).json()["items"][0], shown);
    let who = api.get_as(&key, "/whoami").await.expect(200).json();
    assert_eq!(
        (&who["actor"], &who["role"], &who["tenant"]["name"]),
        (&json!("key"), &json!("member"), &json!("default"))
    );
    assert_eq!((&who["key"]["id"], &who["scopes"]), (&json!(id), &json!(["jobs:read", "jobs:write"])));
    drydock_testing::until("its use is noted", PATIENCE, async || {
        let row = api.get_as(&admin.key, &format!("/keys/{id}")).await.expect(200).json();
        row["last_used_at"].is_string().then_some(())
    })
    .await;
}

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_what_is_expected() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let cases = [
        ("/keys", json!({}), &["name: missing", "role: missing"][..]),
        (
            "/keys",
            json!({"name": "  ", "role": "king", "expires_in_s": 59}),
            &["name: string_too_short", "role: enum", "expires_in_s: greater_than_equal"],
        ),
        (
            "/keys",
            json!({"name": "a\nb", "role": "viewer", "scopes": ["jobs:read", "jobs:write"], "key": "mine"}),
            &["name: value_error", "scopes.1: value_error", "key: extra_forbidden"],
        ),
        (
            "/keys",
            json!({"name": "a", "role": "viewer", "scopes": ["jobs:eat"], "user_id": "x"}),
            &["scopes.0: enum", "user_id: uuid_parsing"],
        ),
        ("/users", json!({"name": "Ada", "email": "ada", "role": "member"}), &["email: value_error"]),
        ("/tenants", json!({"name": "a b"}), &["name: string_pattern_mismatch"]),
    ];
    for (path, body, faults) in cases {
        assert_eq!(api.post_as(&admin.key, path, &body).await.expect(422).faults(), faults, "{path} {body}");
    }
    for (path, body) in [("/keys", json!({"name": "a", "role": "viewer"})), ("/tenants", json!({"name": "second"}))] {
        let request = api.request(Method::POST, path).bearer_auth(&admin.key).header("idempotency-key", "again");
        let answer = Answer::of(request.json(&body)).await.expect(422);
        assert_eq!(answer.faults(), ["Idempotency-Key: value_error"], "{path}");
    }
    assert_eq!(api.get_as(&admin.key, "/keys").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_key_of_ours_is_refused_in_the_same_words() {
    let api = Api::start().await;
    let Made { key, .. } = api.first_key().await;
    let (head, secret) = key.rsplit_once('_').unwrap();
    let other = if secret.starts_with('0') { "1" } else { "0" };
    let wrong = format!("{head}_{other}{}", &secret[1..]);
    let malformed = "Malformed API key: send Authorization: Bearer dd_…, once";
    let cases = [
        (wrong.clone(), "Unknown API key"),
        (ApiKey::generate().text().expose_secret().to_owned(), "Unknown API key"),
        (key[..key.len() - 1].to_owned(), malformed),
        (key.to_uppercase(), malformed),
        (format!(" {key}"), malformed),
    ];
    for (presented, detail) in cases {
        let request = api.request(Method::GET, "/whoami").header("authorization", format!("Bearer {presented}"));
        let answer = Answer::of(request).await.expect(401);
        assert_eq!(told(&answer), ("unauthorized".to_owned(), detail.to_owned()));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    api.get(&format!("/projects?api_key={key}&access_token={key}")).await.expect(401);
    let twice = api.request(Method::GET, "/whoami").bearer_auth(&key).bearer_auth(&key);
    assert_eq!(Answer::of(twice).await.expect(401).text("detail"), malformed);
    api.get_as(&key, "/whoami").await.expect(200);
}

#[tokio::test]
async fn a_key_ends_in_time_although_it_is_remembered() {
    let api = Api::start_with(&["--key-cache", "10m"]).await;
    let key = made(&api, Some(Duration::from_secs(2))).await;
    api.get_as(&key, "/whoami").await.expect(200);
    let started = Instant::now();
    assert_eq!(refusal("the key ends", async || api.get_as(&key, "/whoami").await).await, EXPIRED);
    assert!(started.elapsed() < Duration::from_secs(10), "by its own time, not by the memory's");
}

#[tokio::test]
async fn a_revoked_key_ends_here_at_once_and_elsewhere_within_the_memorys_time() {
    let api = Api::start_with(&["--key-cache", "2s"]).await;
    let admin = api.first_key().await;
    let other = Replica::beside(&api, &["--key-cache", "2s"], |_| {}).await;
    other.ready().await;
    let Made { id, key } = api.key(&admin.key, &json!({"name": "short", "role": "viewer"})).await;
    let there = async || Answer::of(other.get("/whoami").bearer_auth(&key)).await;
    api.get_as(&key, "/whoami").await.expect(200);
    there().await.expect(200);
    let revoked = Instant::now();
    for _ in 0..2 {
        api.with(&admin.key, Method::DELETE, &format!("/keys/{id}"), &Value::Null).await.expect(204);
        assert_eq!(api.get_as(&key, "/whoami").await.expect(401).text("detail"), REVOKED);
    }
    assert_eq!(refusal("the other replica refuses it", there).await, REVOKED);
    assert!(revoked.elapsed() < Duration::from_secs(4), "{:?}", revoked.elapsed());
    // A key may end itself.
    let own = format!("/keys/{}", admin.id);
    api.with(&admin.key, Method::DELETE, &own, &Value::Null).await.expect(204);
    assert_eq!(api.get_as(&admin.key, "/whoami").await.expect(401).text("detail"), REVOKED);
}

#[tokio::test]
async fn a_stream_ends_with_the_key_that_opened_it() {
    let api = Api::start_with(&["--key-cache", "200ms"]).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let mut anyones = api.stream("/events", &[]).await;
    let admin = api.first_key().await;
    let Made { id, key } = api.key(&admin.key, &json!({"name": "short", "role": "viewer"})).await;
    let mut theirs = api.stream("/events", &[("authorization", &bearer(&key))]).await;
    let mut ours = api.stream("/events", &[("authorization", &bearer(&admin.key))]).await;
    assert!(anyones.next().await.is_none(), "nobody may ask without a key any more");
    api.with(&admin.key, Method::DELETE, &format!("/keys/{id}"), &Value::Null).await.expect(204);
    assert!(theirs.next().await.is_none());
    api.post_as(&admin.key, "/projects", &json!({"instruction": "make news"})).await.expect(201);
    assert!(ours.next().await.is_some(), "others go on");
}

#[tokio::test]
async fn the_keys_of_a_disabled_user_end() {
    let api = Api::start_with(&["--key-cache", "100ms"]).await;
    let admin = api.first_key().await;
    let user = json!({"name": "Ada", "email": "ada@example.org", "role": "viewer"});
    let user = api.post_as(&admin.key, "/users", &user).await.expect(201).text("id");
    let key = api.key(&admin.key, &json!({"name": "hers", "role": "viewer", "user_id": user})).await.key;
    assert_eq!(api.get_as(&key, "/whoami").await.expect(200).json()["user"]["email"], "ada@example.org");
    let client = api.database.client().await.unwrap();
    client.batch_execute("UPDATE user_account SET disabled_at = now()").await.unwrap();
    let told = refusal("her key ends", async || api.get_as(&key, "/whoami").await).await;
    assert_eq!(told, "The user of this API key is disabled");
}

#[tokio::test]
async fn a_remembered_key_costs_no_read_and_neither_does_a_wrong_one() {
    let api = Api::start_with(&["--key-cache", "10m"]).await;
    let _first = api.first_key().await;
    let key = made(&api, None).await;
    let stranger = ApiKey::generate();
    let text = stranger.text().expose_secret().to_owned();
    api.get_as(&key, "/jobs").await.expect(200);
    api.get_as(&text, "/jobs").await.expect(401);
    // Whatever the rows say now, who does not ask cannot know.
    let client = api.database.client().await.unwrap();
    client.batch_execute("UPDATE api_key SET role = 'operator'").await.unwrap();
    client
        .execute(
            "UPDATE api_key SET prefix = $1, hash = $2 WHERE name = 'first'",
            &[&stranger.prefix().to_string(), &stranger.hash().as_bytes().as_slice()],
        )
        .await
        .unwrap();
    api.get_as(&key, "/jobs").await.expect(200);
    api.get_as(&text, "/jobs").await.expect(401);
}

#[tokio::test]
async fn guessing_is_slow_and_keeps_no_key_in_use_waiting() {
    let api = Api::start_with(&["--key-cache", "10m"]).await;
    let admin = api.first_key().await;
    api.get_as(&admin.key, "/limits").await.expect(200);
    const GUESSES: u32 = 200;
    let started = Instant::now();
    let guesses = (0..GUESSES).map(async |_| {
        let key = ApiKey::generate().text().expose_secret().to_owned();
        api.get_as(&key, "/limits").await.status
    });
    let guessing = async { (futures_util::future::join_all(guesses).await, started.elapsed()) };
    let working = async {
        let answers = futures_util::future::join_all((0..20).map(async |_| api.get_as(&admin.key, "/limits").await));
        (answers.await, started.elapsed())
    };
    let ((statuses, guessed), (answers, worked)) = tokio::join!(guessing, working);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
    // Eight at once, and each place is held for 25 ms.
    assert!(guessed >= Duration::from_millis(25) * (GUESSES / 8 - 1), "{guessed:?}");
    assert!(worked < guessed, "{worked:?} and {guessed:?}");
}
