//! Open mode: while no key exists, where only this host asks; over with the first key, and for good.

use std::time::{Duration, Instant};

use drydock_api::ApiConfig;
use drydock_domain::ApiKey;
use drydock_runtime::exit::{Exit, chain};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Made, Replica};
use crate::harness::{Answer, Api, PATIENCE};

fn on_every_address(config: &mut ApiConfig) {
    config.api_addr = ([0, 0, 0, 0], 0).into();
}

#[tokio::test]
async fn without_keys_everybody_may_do_everything() {
    let api = Api::start().await;
    let who = api.get("/whoami").await.expect(200).json();
    assert_eq!(
        (&who["actor"], &who["role"], &who["tenant"]["name"]),
        (&json!("anyone"), &json!("admin"), &json!("default"))
    );
    for path in ["/projects", "/workers", "/tenants", "/keys"] {
        api.get(path).await.expect(200);
    }
    let unknown = ApiKey::generate();
    let answer = api.get_as(unknown.text().expose_secret(), "/whoami").await.expect(401);
    assert_eq!(answer.text("detail"), "Unknown API key", "who presents a key means it");
}

#[tokio::test]
async fn the_first_key_ends_it_here_at_once_and_elsewhere_within_a_second() {
    let api = Api::start().await;
    let other = Replica::beside(&api, &[], |_| {}).await;
    other.ready().await;
    let there = async || Answer::of(other.get("/whoami")).await;
    assert_eq!(there().await.expect(200).json()["actor"], "anyone");
    let made = Instant::now();
    let Made { id, key } = api.first_key().await;
    api.get("/whoami").await.expect(401);
    let seen = Answer::of(other.get("/whoami").bearer_auth(&key)).await.expect(200).json();
    assert_eq!(seen["actor"], "key", "a key is judged, also where it is not known yet that one exists");
    drydock_testing::until("the other replica asks for keys", PATIENCE, async || {
        (there().await.status == 401).then_some(())
    })
    .await;
    assert!(made.elapsed() < Duration::from_secs(3), "{:?}", made.elapsed());
    // The last key goes; what it guarded does not become everybody's.
    api.with(&key, Method::DELETE, &format!("/keys/{id}"), &Value::Null).await.expect(204);
    api.get("/whoami").await.expect(401);
    let later = Replica::beside(&api, &["--insecure-open", "true"], |_| {}).await;
    later.ready().await;
    let answer = Answer::of(later.get("/whoami")).await.expect(401);
    assert!(answer.text("detail").starts_with("Missing API key"), "nor by DRYDOCK_INSECURE_OPEN: keys win");
}

#[tokio::test]
async fn a_tenants_first_key_ends_it_too() {
    let api = Api::start().await;
    let made = api.post("/tenants", &json!({"name": "second", "key_name": "hers"})).await.expect(201);
    api.get("/whoami").await.expect(401);
    let key = made.json()["first_key"]["key"].as_str().unwrap().to_owned();
    let who = api.get_as(&key, "/whoami").await.expect(200).json();
    assert_eq!(
        (&who["tenant"]["name"], &who["role"], &who["key"]["name"]),
        (&json!("second"), &json!("owner"), &json!("hers"))
    );
}

#[tokio::test]
async fn what_others_reach_does_not_start_without_a_key() {
    let api = Api::start().await;
    let mut alone = Replica::beside(&api, &[], on_every_address).await;
    let ended = tokio::time::timeout(PATIENCE, &mut alone.running).await.expect("it does not start").unwrap();
    let Err(error @ Exit::Usage(_)) = ended else { panic!("{ended:?}") };
    let said = chain(&error);
    assert!(said.contains("drydock admin bootstrap") && said.contains("DRYDOCK_INSECURE_OPEN"), "{said}");
    let open = Replica::beside(&api, &["--insecure-open", "true"], on_every_address).await;
    open.ready().await;
    assert_eq!(Answer::of(open.get("/whoami")).await.expect(200).json()["actor"], "anyone");
    // Where tokens are taken somebody is known, and nothing is open: not even with the setting, nor on loopback.
    let issuer = super::issuer::Issuer::start().await;
    let file = super::issuer::file(&issuer.settings("tenant = { name = 'default' }"));
    let file = ["--oidc-file", file.path().to_str().unwrap()];
    let replicas = [
        Replica::beside(&api, &file, on_every_address).await,
        Replica::beside(&api, &[file.as_slice(), &["--insecure-open", "true"]].concat(), on_every_address).await,
        Replica::beside(&api, &file, |_| {}).await,
    ];
    for replica in &replicas {
        replica.ready().await;
        let answer = Answer::of(replica.get("/whoami")).await.expect(401);
        assert!(answer.text("detail").starts_with("Missing API key"), "{}", answer.text("detail"));
    }
    let bad = super::issuer::file("[[issuer]]\nurl = 'http://login.example.org'");
    let mut bad = Replica::beside(&api, &["--oidc-file", bad.path().to_str().unwrap()], |_| {}).await;
    let ended = tokio::time::timeout(PATIENCE, &mut bad.running).await.expect("it does not start").unwrap();
    let Err(error @ Exit::Usage(_)) = ended else { panic!("{ended:?}") };
    assert!(chain(&error).contains("DRYDOCK_OIDC_FILE") && chain(&error).contains("audience"), "{}", chain(&error));
    let Made { key, .. } = api.first_key().await;
    let keyed = Replica::beside(&api, &[], on_every_address).await;
    keyed.ready().await;
    Answer::of(keyed.get("/whoami")).await.expect(401);
    Answer::of(keyed.get("/whoami").bearer_auth(&key)).await.expect(200);
}
