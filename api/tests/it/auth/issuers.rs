//! Issuers that change their keys, are away, or say odd things.

use axum::http::StatusCode;
use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{
    issuer::{DISCOVERY, Issuer, KEYS, Pair},
    tokens::{DEFAULT_TENANT, admin, knows, refusal, start, taking},
    told,
};
use crate::harness::PATIENCE;

#[tokio::test]
async fn keys_that_change_are_looked_for_and_those_withdrawn_count_no_more() {
    let issuer = Issuer::start().await;
    let settings = issuer.settings(DEFAULT_TENANT).replace("'1h'", "'1s'");
    let (api, _file) = start(&settings, &[]).await;
    knows(&api, &issuer).await;
    let old = issuer.token(&json!({}));
    api.get_as(&old, "/projects").await.expect(200);
    let second = Pair::new("second", Algorithm::ES256);
    let new = second.sign(&issuer.claims(&json!({})));
    issuer.show(&[&issuer.rsa, &second]);
    let taken = async |token: &str| {
        drydock_testing::until("it is looked for", PATIENCE, async || {
            (api.get_as(token, "/projects").await.status == 200).then_some(())
        })
        .await;
    };
    taken(&new).await;
    api.get_as(&old, "/projects").await.expect(200);
    // The first key is withdrawn; a third one makes this process look.
    let third = Pair::new("third", Algorithm::EdDSA);
    issuer.show(&[&second, &third]);
    taken(&third.sign(&issuer.claims(&json!({})))).await;
    assert_eq!(
        refusal(&api, &old, 401).await,
        "Token is not signed by a key that its issuer shows",
        "although it was verified before"
    );
    api.get_as(&new, "/projects").await.expect(200);
    // While the issuer is away, what is known goes on, and what is not is nobody's fault.
    issuer.answer(KEYS, StatusCode::INTERNAL_SERVER_ERROR, "");
    let unknown = Pair::new("fourth", Algorithm::ES256).sign(&issuer.claims(&json!({})));
    drydock_testing::until("it looks again", PATIENCE, async || {
        (api.get_as(&unknown, "/projects").await.status == 503).then_some(())
    })
    .await;
    api.get_as(&second.sign(&issuer.claims(&json!({"n": 2}))), "/projects").await.expect(200);
}

#[tokio::test]
async fn unknown_keys_make_nobody_ask_the_issuer_over_and_over() {
    let issuer = Issuer::start().await;
    let (api, _file) = taking(&issuer, DEFAULT_TENANT, &[]).await;
    let before = issuer.asked(KEYS);
    let asked = (0..50).map(async |n| {
        let header = json!({"alg": "RS256", "kid": format!("k{n}")});
        refusal(&api, &issuer.rsa.sign_with(&header, &issuer.claims(&json!({}))), 401).await
    });
    join_all(asked).await;
    assert_eq!(issuer.asked(KEYS), before, "they were shown less than an hour ago");
    api.get_as(&issuer.token(&json!({})), "/projects").await.expect(200);
}

#[tokio::test]
async fn an_issuer_that_is_away_keeps_nobody_else_out() {
    let port = drydock_testing::free_port();
    let url = format!("http://127.0.0.1:{port}/realm");
    let settings = format!(
        "[[issuer]]\nurl = '{url}'\naudience = ['drydock']\n{DEFAULT_TENANT}\nrole = {{ default = 'viewer' }}\n"
    );
    let (api, _file) = start(&settings, &[]).await;
    let elsewhere = Issuer::start().await;
    let early = elsewhere.rsa.sign(&elsewhere.claims(&json!({"iss": url})));
    let answer = api.get_as(&early, "/projects").await.expect(503);
    assert!(told(&answer).1.starts_with("The issuer of this token does not answer"), "{}", told(&answer).1);
    assert!(answer.header("retry-after").is_some());
    let admin = admin(&api).await;
    api.get_as(&admin, "/projects").await.expect(200);
    let issuer = Issuer::start_at(([127, 0, 0, 1], port).into()).await;
    let token = issuer.token(&json!({}));
    drydock_testing::until("its keys are known", PATIENCE, async || {
        (api.get_as(&token, "/projects").await.status == 200).then_some(())
    })
    .await;
    refusal(&api, &early, 401).await;
}

#[tokio::test]
async fn an_issuer_that_says_odd_things_is_not_believed() {
    let issuer = Issuer::start().await;
    let evil = Issuer::start().await;
    let changed = |name: &str, value: Value| {
        let mut document = issuer.discovery();
        document[name] = value;
        document.to_string()
    };
    let pages = [
        ("another's name", StatusCode::OK, changed("issuer", json!(evil.url))),
        ("keys elsewhere without TLS", StatusCode::OK, changed("jwks_uri", json!("http://192.0.2.1/keys"))),
        ("keys in a file", StatusCode::OK, changed("jwks_uri", json!("file:///etc/passwd"))),
        ("no keys", StatusCode::OK, changed("jwks_uri", Value::Null)),
        ("to somebody else", StatusCode::FOUND, format!("{}/.well-known/openid-configuration", evil.url)),
        ("a page for people", StatusCode::OK, "<html>".to_owned()),
        ("more than anybody reads", StatusCode::OK, " ".repeat(600 * 1024)),
    ];
    for (what, status, body) in pages {
        let before = issuer.asked(DISCOVERY);
        issuer.answer(DISCOVERY, status, &body);
        let (api, _file) = start(&issuer.settings(DEFAULT_TENANT), &[]).await;
        drydock_testing::until("it was asked", PATIENCE, async || (issuer.asked(DISCOVERY) > before).then_some(()))
            .await;
        let answer = api.get_as(&issuer.token(&json!({})), "/projects").await;
        assert_eq!(answer.status, 503, "{what}");
    }
    assert_eq!(evil.asked(DISCOVERY) + evil.asked(KEYS), 0);
    issuer.serve(DISCOVERY, &issuer.discovery().to_string());
    let (api, _file) = taking(&issuer, DEFAULT_TENANT, &[]).await;
    api.get_as(&issuer.token(&json!({})), "/projects").await.expect(200);
}
