//! Nobody gives what they have not.

use serde_json::{Value, json};

use super::told;
use crate::harness::Api;

/// Who tries, what they ask for, and what they are told; none where it is fine.
const ATTEMPTS: &[(&str, &str, &str, Option<&str>)] = &[
    ("owner", "/keys", r#"{"role": "owner"}"#, None),
    ("owner", "/keys", r#"{"role": "viewer"}"#, None),
    (
        "owner",
        "/keys",
        r#"{"role": "operator"}"#,
        Some("would give fleet:read, fleet:write, tenants:read, tenants:write"),
    ),
    ("owner", "/keys", r#"{"role": "admin"}"#, Some("would give fleet:read")),
    ("owner", "/keys", r#"{"role": "admin", "scopes": ["fleet:write"]}"#, Some("would give fleet:write")),
    ("owner", "/keys", r#"{"role": "admin", "scopes": ["jobs:read"]}"#, None),
    ("owner", "/tenants", r#"{}"#, Some("needs the scope tenants:write, which a key of role 'owner' does not have")),
    ("owner", "/users", r#"{"role": "admin"}"#, Some("would give fleet:read")),
    ("owner", "/users", r#"{"role": "owner"}"#, None),
    (
        "member",
        "/keys",
        r#"{"role": "viewer"}"#,
        Some("needs the scope keys:write, which a key of role 'member' does not have"),
    ),
    ("member", "/users", r#"{"role": "viewer"}"#, Some("needs the scope keys:write")),
    ("operator", "/keys", r#"{"role": "viewer"}"#, Some("needs the scope keys:write")),
    ("operator", "/tenants", r#"{}"#, None),
    ("few", "/keys", r#"{"role": "owner", "scopes": ["keys:write"]}"#, None),
    ("few", "/keys", r#"{"role": "owner"}"#, Some("would give projects:read")),
    ("few", "/keys", r#"{"role": "viewer"}"#, Some("would give projects:read, jobs:read, audit:read")),
];

#[tokio::test]
async fn nobody_gives_what_they_have_not() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let few = json!({"name": "few", "role": "owner", "scopes": ["keys:read", "keys:write"]});
    let few = api.key(&admin, &few).await.key;
    let mut keys = vec![("few", few)];
    for role in ["owner", "member", "operator"] {
        keys.push((role, api.key_of_role(&admin, role).await));
    }
    for (at, (who, path, asked, refused)) in ATTEMPTS.iter().enumerate() {
        let key = &keys.iter().find(|(name, _)| name == who).unwrap().1;
        let mut body: Value = serde_json::from_str(asked).unwrap();
        body["name"] = format!("n{at}").into();
        if *path == "/users" {
            body["email"] = format!("n{at}@example.org").into();
        }
        let answer = api.post_as(key, path, &body).await;
        let Some(expected) = refused else {
            answer.expect(201);
            continue;
        };
        let (error, detail) = told(&answer.expect(403));
        assert!(error == "forbidden" && detail.contains(expected), "{who} {path} {asked}: {detail}");
    }
}

#[tokio::test]
async fn a_key_may_what_its_role_and_its_list_allow() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let only = async |role: &str, scopes: &[&str]| {
        api.key(&admin, &json!({"name": "few", "role": role, "scopes": scopes})).await.key
    };
    let keys = only("owner", &["keys:read"]).await;
    api.get_as(&keys, "/keys").await.expect(200);
    let detail = "This needs the scope projects:read, which a key of role 'owner' has, but not this one";
    assert_eq!(api.get_as(&keys, "/projects").await.expect(403).text("detail"), detail);
    let operator = api.key_of_role(&admin, "operator").await;
    api.get_as(&operator, "/workers").await.expect(200);
    api.get_as(&operator, "/projects").await.expect(403);
    // A project comes with a job.
    let projects = only("owner", &["projects:write"]).await;
    let body = json!({"instruction": "a job in disguise"});
    let detail = api.post_as(&projects, "/projects", &body).await.expect(403).text("detail");
    assert!(detail.contains("needs the scope jobs:write"), "{detail}");
}

#[tokio::test]
async fn a_users_key_stays_within_the_users_role() {
    let api = Api::start().await;
    let admin = api.first_key().await.key;
    let user = |email: &str| json!({"name": "Ada", "email": email, "role": "viewer"});
    let made = api.post_as(&admin, "/users", &user("ada@example.org")).await.expect(201);
    let again = api.post_as(&admin, "/users", &user("ADA@example.org")).await.expect(409);
    assert_eq!(told(&again).1, "There is a user with this address");
    let key = |role: &str| json!({"name": "hers", "role": role, "user_id": made.text("id")});
    let refused = api.post_as(&admin, "/keys", &key("member")).await.expect(422);
    assert_eq!(refused.json()["detail"][0]["msg"], "this gives more than the user's role 'viewer'");
    api.post_as(&admin, "/keys", &key("viewer")).await.expect(201);
    let taken = api.post_as(&admin, "/tenants", &json!({"name": "default"})).await.expect(409);
    assert_eq!(told(&taken).1, "There is a tenant with this name");
}

/// Paths of such URLs are often secrets.
#[tokio::test]
async fn who_may_not_change_webhooks_sees_only_where_they_point() {
    let api = Api::start().await;
    let admin = api.first_key().await;
    let viewer = api.key_of_role(&admin.key, "viewer").await;
    let webhook = json!({"name": "n", "url": "https://1.1.1.1:8443/services/s3cr3t?token=x"});
    let made = api.post_as(&admin.key, "/webhooks", &webhook).await.expect(201);
    let one = format!("/webhooks/{}", made.text("id"));
    for (key, url) in
        [(&admin.key, "https://1.1.1.1:8443/services/s3cr3t?token=x"), (&viewer, "https://1.1.1.1:8443/…")]
    {
        assert_eq!(api.get_as(key, &one).await.expect(200).text("url"), url);
        assert_eq!(api.get_as(key, "/webhooks").await.expect(200).json()["items"][0]["url"], url);
    }
}
