//! Tokens of an OIDC issuer: who is taken for whom, and until when.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, get_current_timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{
    Made, Replica,
    issuer::{Issuer, Pair, file},
    told,
};
use crate::harness::{Answer, Api, PATIENCE};

pub(super) const DEFAULT_TENANT: &str = "tenant = { name = 'default' }";

/// An API that takes tokens of `issuer`, once it knows the issuer's keys.
pub(super) async fn taking(issuer: &Issuer, more: &str, arguments: &[&str]) -> (Api, NamedTempFile) {
    let (api, file) = start(&issuer.settings(more), arguments).await;
    knows(&api, issuer).await;
    (api, file)
}

pub(super) async fn start(settings: &str, arguments: &[&str]) -> (Api, NamedTempFile) {
    let file = file(settings);
    let arguments = [&["--oidc-file", file.path().to_str().unwrap()], arguments].concat();
    (Api::start_with(&arguments).await, file)
}

pub(super) async fn knows(api: &Api, issuer: &Issuer) {
    let probe = issuer.token(&json!({"exp": 0}));
    drydock_testing::until("the issuer's keys are known", PATIENCE, async || {
        (api.get_as(&probe, "/whoami").await.status == 401).then_some(())
    })
    .await;
}

/// A key of an admin's, made behind the API's back: with an issuer, nobody may make the first one by asking.
pub(super) async fn admin(api: &Api) -> String {
    use drydock_database::api_key::{self, NewApiKey};
    use drydock_domain::{ApiKey, ApiKeyId, Role, TenantId};
    use secrecy::ExposeSecret as _;
    let key = ApiKey::generate();
    let new = NewApiKey {
        id: ApiKeyId::generate(),
        tenant: TenantId::DEFAULT,
        user: None,
        name: "admin".to_owned(),
        prefix: key.prefix(),
        hash: key.hash(),
        role: Role::Admin,
        scopes: None,
        lifetime: None,
    };
    api_key::create(&api.database.client().await.unwrap(), &new).await.unwrap();
    key.text().expose_secret().to_owned()
}

pub(super) async fn refusal(api: &Api, token: &str, status: u16) -> String {
    let answer = api.get_as(token, "/projects").await.expect(status);
    let body = String::from_utf8(answer.body.clone()).unwrap();
    assert!(token.split('.').filter(|part| part.len() > 20).all(|part| !body.contains(part)), "{body}");
    if status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    told(&answer).1
}

async fn users(api: &Api, key: &str) -> Vec<Value> {
    api.get_as(key, "/users").await.expect(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn who_comes_first_with_a_token_becomes_a_user_once() {
    let issuer = Issuer::start().await;
    let (api, _file) = taking(&issuer, DEFAULT_TENANT, &[]).await;
    let token = issuer.token(&json!({"email": "ada@example.org", "email_verified": true}));
    let others = [json!({"iat": 1}), json!({"iat": 2}), json!({"iat": 3})].map(|other| issuer.token(&other));
    let asked = [&token, &token].into_iter().chain(&others);
    let seen =
        join_all(asked.map(async |token| api.get_as(token, "/whoami").await.expect(200).json()["user"]["id"].clone()))
            .await;
    assert!(seen.iter().all(|user| *user == seen[0]), "{seen:?}");
    let who = api.get_as(&token, "/whoami").await.expect(200).json();
    assert_eq!(
        (&who["actor"], &who["role"], &who["tenant"]["name"]),
        (&json!("token"), &json!("member"), &json!("default"))
    );
    assert_eq!(who["identity"], json!({"issuer": issuer.url, "subject": "ada-1"}));
    assert_eq!((&who["user"]["name"], &who["key"]), (&json!("Ada"), &Value::Null));
    let admin = admin(&api).await;
    let users = users(&api, &admin).await;
    assert_eq!((users.len(), &users[0]["role"], &users[0]["id"]), (1, &json!("member"), &seen[0]));
    // What a member may, and no more.
    api.post_as(&token, "/projects", &json!({"instruction": "build a thing"})).await.expect(201);
    let detail = told(&api.post_as(&token, "/keys", &json!({"name": "k", "role": "viewer"})).await.expect(403)).1;
    assert_eq!(detail, "This needs the scope keys:write, which a token of role 'member' does not have");
    assert_eq!(api.get_as(&admin, "/whoami").await.expect(200).json()["actor"], "key", "keys go on");
}

#[tokio::test]
async fn every_kind_of_key_pair_signs_for_itself() {
    let issuer = Issuer::start().await;
    let pairs = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
        .map(|algorithm| Pair::new(&format!("{algorithm:?}"), algorithm));
    issuer.show(&pairs.iter().collect::<Vec<_>>());
    let algorithms = "algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']\n";
    let (api, _file) = start(&issuer.settings(&format!("{algorithms}{DEFAULT_TENANT}")), &[]).await;
    for pair in &pairs {
        let token = pair.sign(&issuer.claims(&json!({})));
        drydock_testing::until("it is taken", PATIENCE, async || {
            (api.get_as(&token, "/projects").await.status == 200).then_some(())
        })
        .await;
        // The same with the name of another one's key.
        for other in pairs.iter().filter(|other| other.id != pair.id) {
            let header = json!({"alg": format!("{:?}", pair.algorithm), "kid": other.id});
            let told = refusal(&api, &pair.sign_with(&header, &issuer.claims(&json!({}))), 401).await;
            assert!(told.starts_with("Token is not signed by"), "{told}");
            // Or with the other's algorithm, and the own key.
            let header = json!({"alg": format!("{:?}", other.algorithm), "kid": pair.id});
            refusal(&api, &pair.sign_with(&header, &issuer.claims(&json!({}))), 401).await;
        }
    }
}

#[tokio::test]
async fn nobody_is_taken_for_somebody_else() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let settings = format!("{}{}", issuer.settings(DEFAULT_TENANT), other.settings(DEFAULT_TENANT));
    let (api, _file) = start(&settings, &[]).await;
    knows(&api, &issuer).await;
    knows(&api, &other).await;
    let admin = admin(&api).await;
    let ada = json!({"name": "Ada", "email": "ada@example.org", "role": "owner"});
    let ada = api.post_as(&admin, "/users", &ada).await.expect(201).text("id");
    let user = async |token: String| api.get_as(&token, "/whoami").await.expect(200).json()["user"].clone();
    let mine = |sub: &str, verified: Value| {
        issuer.token(&json!({"sub": sub, "email": "ADA@example.org", "email_verified": verified, "name": "Ada", "preferred_username": "ada"}))
    };
    let first = user(mine("x", json!(true))).await;
    assert_ne!(first["id"], json!(ada), "an address makes nobody the user who has it");
    assert_eq!(first["email"], Value::Null, "nor theirs too");
    assert_ne!(user(mine("y", json!(true))).await["id"], first["id"]);
    assert_ne!(user(other.token(&json!({"sub": "x"}))).await["id"], first["id"], "the same subject of another issuer");
    let fresh = |verified: Value| {
        issuer.token(&json!({"sub": format!("{verified}"), "email": format!("{verified}@example.org"), "email_verified": verified}))
    };
    assert_eq!(user(fresh(json!(true))).await["email"], "true@example.org");
    assert_eq!(user(fresh(json!("yes"))).await["email"], Value::Null, "an address that nobody looked at");
    // A name or an address that changes is the same person.
    assert_eq!(
        user(issuer.token(&json!({"sub": "x", "name": "Augusta", "email": "new@example.org"}))).await["id"],
        first["id"]
    );
    // One issuer's key signs nothing for another.
    let forged = issuer.rsa.sign(&other.claims(&json!({})));
    assert_eq!(refusal(&api, &forged, 401).await, "Token is not signed by the key it names");
    let row = api.get_as(&admin, &format!("/users/{ada}")).await.expect(200).json();
    assert_eq!((&row["email"], &row["role"]), (&json!("ada@example.org"), &json!("owner")));
}

#[tokio::test]
async fn a_claim_names_the_tenant_and_the_role() {
    let issuer = Issuer::start().await;
    let rule = "tenant = { claim = 'org', values = { 'acme corp' = 'acme', 'b' = 'beta' } }";
    let (api, _file) = taking(&issuer, rule, &["--key-cache", "100ms"]).await;
    let admin = admin(&api).await;
    let token = |org: Value, groups: Value| issuer.token(&json!({"org": org, "groups": groups}));
    for org in [json!(null), json!("default"), json!("acme"), json!(["acme corp", "b"])] {
        let told = refusal(&api, &token(org.clone(), json!("staff")), 403).await;
        assert!(told.starts_with("Token's claim 'org' names"), "{org}: {told}");
    }
    let ada = token(json!("acme corp"), json!(["guests", "staff"]));
    let told = refusal(&api, &ada, 403).await;
    assert_eq!(told, "Token is good, but there is no tenant 'acme': an operator of this server makes tenants");
    assert!(users(&api, &admin).await.is_empty(), "and nobody is made");
    let Made { key: owner, .. } = api.tenant(&admin, "acme").await;
    drydock_testing::until("the new tenant is seen", PATIENCE, async || {
        (api.get_as(&ada, "/projects").await.status == 200).then_some(())
    })
    .await;
    let who = api.get_as(&ada, "/whoami").await.expect(200).json();
    assert_eq!(
        (&who["tenant"]["name"], &who["role"]),
        (&json!("acme"), &json!("member")),
        "of two roles the first of the list"
    );
    assert_eq!(users(&api, &owner).await.len(), 1);
    assert!(users(&api, &admin).await.is_empty(), "a user of that tenant alone");
    let told = refusal(&api, &token(json!("acme corp"), json!(["strangers"])), 403).await;
    assert!(told.starts_with("The claims of this token give no role"), "{told}");
    // The token's role limits the user's, and the user's the token's.
    let may =
        async |token: &str| api.post_as(token, "/projects", &json!({"instruction": "build a thing"})).await.status;
    assert_eq!(may(&ada).await, 201);
    assert_eq!(may(&token(json!("acme corp"), json!("guests"))).await, 403);
    let admins = token(json!("acme corp"), json!("admins"));
    let who = api.get_as(&admins, "/whoami").await.expect(200).json();
    assert!(who["role"] == "owner" && !who["scopes"].as_array().unwrap().contains(&json!("keys:write")), "{who}");
    let path = format!("/users/{}", who["user"]["id"].as_str().unwrap());
    api.with(&owner, Method::PATCH, &path, &json!({"role": "owner"})).await.expect(200);
    let who = api.get_as(&admins, "/whoami").await.expect(200).json();
    assert!(who["scopes"].as_array().unwrap().contains(&json!("keys:write")), "{who}");
}

#[tokio::test]
async fn a_token_ends_with_its_user_and_its_tenant() {
    let issuer = Issuer::start().await;
    let (api, file) = taking(&issuer, "tenant = { claim = 'org' }", &["--key-cache", "2s"]).await;
    let admin = admin(&api).await;
    let tenant = api.tenant(&admin, "acme").await;
    let other =
        Replica::beside(&api, &["--key-cache", "2s", "--oidc-file", file.path().to_str().unwrap()], |_| {}).await;
    other.ready().await;
    let token = issuer.token(&json!({"org": "acme"}));
    let there = async || Answer::of(other.get("/projects").bearer_auth(&token)).await.status;
    let until = async |status: u16| {
        drydock_testing::until("the other replica sees it", PATIENCE, async || (there().await == status).then_some(()))
            .await;
    };
    let who = api.get_as(&token, "/whoami").await.expect(200).json();
    until(200).await;
    let mut stream = api.stream("/events", &[("authorization", &format!("Bearer {token}"))]).await;
    let neighbour = issuer.token(&json!({"org": "acme", "sub": "neighbour"}));
    let mut theirs = api.stream("/events", &[("authorization", &format!("Bearer {neighbour}"))]).await;
    let user = format!("/users/{}", who["user"]["id"].as_str().unwrap());
    let off = async |key: &str, path: &str, off: bool| {
        api.with(key, Method::PATCH, path, &json!({"disabled": off})).await.expect(200)
    };
    let ended = Instant::now();
    off(&tenant.key, &user, true).await;
    assert_eq!(refusal(&api, &token, 401).await, "The user of this token is disabled");
    until(401).await;
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}", ended.elapsed());
    while stream.next().await.is_some() {}
    // It was looked at as well by now: who changes one user cuts nobody else off.
    api.post_as(&neighbour, "/projects", &json!({"instruction": "build a thing"})).await.expect(201);
    assert!(theirs.next().await.is_some());
    let fresh = issuer.token(&json!({"org": "acme", "n": 1}));
    assert_eq!(
        refusal(&api, &fresh, 401).await,
        "The user of this token is disabled",
        "a new token is of the same user"
    );
    off(&tenant.key, &user, false).await;
    api.get_as(&token, "/projects").await.expect(200);
    let path = format!("/tenants/{}", who["tenant"]["id"].as_str().unwrap());
    off(&admin, &path, true).await;
    assert_eq!(refusal(&api, &token, 401).await, "The tenant of this token is disabled");
    let stranger = issuer.token(&json!({"org": "acme", "sub": "new"}));
    assert_eq!(refusal(&api, &stranger, 401).await, "The tenant of this token is disabled");
    until(401).await;
    off(&admin, &path, false).await;
    api.get_as(&stranger, "/projects").await.expect(200);
}

#[tokio::test]
async fn a_remembered_token_costs_no_read_and_ends_in_time() {
    let issuer = Issuer::start().await;
    let (api, _file) = taking(&issuer, &format!("leeway = '0s'\n{DEFAULT_TENANT}"), &["--key-cache", "10m"]).await;
    let token = issuer.token(&json!({"exp": get_current_timestamp() + 3}));
    api.get_as(&token, "/projects").await.expect(200);
    // Whatever the rows say now, who does not ask cannot know.
    let client = api.database.client().await.unwrap();
    client.batch_execute("UPDATE user_account SET disabled_at = now()").await.unwrap();
    api.get_as(&token, "/projects").await.expect(200);
    let started = Instant::now();
    drydock_testing::until("it ends", PATIENCE, async || {
        (api.get_as(&token, "/projects").await.status == 401).then_some(())
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(10), "by its own time, not by the memory's");
    assert_eq!(refusal(&api, &token, 401).await, "Token has expired");
}
