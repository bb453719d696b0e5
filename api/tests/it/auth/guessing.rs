//! Keys that are nobody's, one after another.

use std::net::IpAddr;

use drydock_domain::ApiKey;
use futures_util::future::join_all;
use reqwest::Method;
use secrecy::ExposeSecret as _;

use super::{Made, life};
use crate::harness::{Answer, Api};

fn stranger() -> String {
    ApiKey::generate().text().expose_secret().to_owned()
}

/// The answer to `key` for a client at this address of the host's own.
async fn from(api: &Api, address: &str, key: &str) -> Answer {
    let client = reqwest::Client::builder().local_address(address.parse::<IpAddr>().unwrap()).build().unwrap();
    Answer::of(client.get(format!("http://{}/api/v1/limits", api.address)).bearer_auth(key)).await
}

/// Red without a limit: then each of the 200 is 401, and looked up.
#[tokio::test]
async fn an_address_with_many_bad_keys_is_told_to_wait_and_a_good_key_works_from_there_too() {
    let api = Api::start_with(&["--bad-key-rate", "1", "--bad-key-burst", "5"]).await;
    let admin = api.first_key().await;
    let new = life::made(&api, None).await;
    let mut told = Vec::new();
    for _ in 0..200 {
        let answer = api.get_as(&stranger(), "/limits").await;
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
            assert_eq!(answer.error().0, "rate_limited");
            assert!(answer.text("detail").starts_with("More than 5 API keys or tokens from this address"));
        }
        told.push(answer.status);
    }
    assert_eq!(told[..5], [401; 5]);
    assert!(told[5..].iter().all(|status| *status == 429), "{told:?}");
    for key in [&admin.key, &new] {
        api.get_as(key, "/limits").await.expect(200);
    }
    // What is no key at all is no better; who sends none is only told to.
    api.get_as("nonsense", "/limits").await.expect(429);
    api.get("/limits").await.expect(401);
    from(&api, "127.0.0.2", &stranger()).await.expect(401);
    let metrics = String::from_utf8(api.get("//metrics").await.expect(200).body).unwrap();
    assert!(metrics.contains("\ndrydock_api_bad_keys_limited_total 196\n"), "{metrics}");
}

/// Red when who guesses stands in one line with those whose keys are only new: eight at once have done with 200 before the first of them has
/// waited for a second.
#[tokio::test]
async fn guesses_wait_in_a_line_of_their_own() {
    let api = Api::start_with(&["--bad-key-rate", "1", "--bad-key-burst", "1", "--key-cache", "10m"]).await;
    api.first_key().await;
    let new = life::made(&api, None).await;
    for _ in 0..2 {
        api.get_as(&stranger(), "/limits").await;
    }
    let guesses = (0..200).map(async |_| api.get_as(&stranger(), "/limits").await.expect(429).text("detail"));
    let (told, ()) = tokio::join!(join_all(guesses), async {
        from(&api, "127.0.0.2", &new).await.expect(200);
    });
    let crowded = told.iter().filter(|detail| detail.starts_with("Too many unknown API keys are being presented from"));
    assert!(crowded.count() > 50, "{told:?}");
}

/// Red when guesses at one key's secret count against the key.
#[tokio::test]
async fn guessing_from_many_addresses_does_not_lock_out_the_owner() {
    let api = Api::start_with(&["--bad-key-rate", "1", "--bad-key-burst", "5"]).await;
    let Made { key, .. } = api.first_key().await;
    let (head, secret) = key.rsplit_once('_').unwrap();
    let wrong = format!("{head}_{}", secret.chars().rev().collect::<String>());
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        for tried in 0..10 {
            let status = from(&api, address, &wrong).await.status;
            assert_eq!(status, if tried < 5 { 401 } else { 429 }, "{address}");
            api.get_as(&key, "/limits").await.expect(200);
        }
        from(&api, address, &key).await.expect(200);
    }
}

/// A key that was good says why it is no more, however often it is asked.
#[tokio::test]
async fn a_key_that_has_ended_is_no_guess() {
    let api = Api::start_with(&["--bad-key-rate", "1", "--bad-key-burst", "2"]).await;
    let admin = api.first_key().await;
    let old = api.key(&admin.key, &serde_json::json!({"name": "old", "role": "viewer"})).await;
    api.with(&admin.key, Method::DELETE, &format!("/keys/{}", old.id), &serde_json::Value::Null).await.expect(204);
    for _ in 0..10 {
        assert_eq!(api.get_as(&old.key, "/limits").await.expect(401).text("detail"), "API key is revoked");
    }
}

/// Red when anybody may say who they are, or when all behind a proxy are one.
#[tokio::test]
async fn behind_a_trusted_proxy_each_client_counts_for_itself_and_is_in_the_audit_log() {
    let limit = ["--bad-key-rate", "1", "--bad-key-burst", "2"];
    let as_client = async |api: &Api, key: &str, client: &str| {
        Answer::of(api.request(Method::GET, "/limits").bearer_auth(key).header("x-forwarded-for", client)).await.status
    };
    let proxied = Api::start_with(&[&limit[..], &["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]].concat()).await;
    let admin = proxied.first_key().await;
    for client in ["198.51.100.1", "6.6.6.6, 198.51.100.2", "198.51.100.3, 10.1.1.1"] {
        for expected in [401, 401, 429] {
            assert_eq!(as_client(&proxied, &stranger(), client).await, expected, "{client}");
        }
    }
    assert_eq!(as_client(&proxied, &stranger(), "6.6.6.6, 198.51.100.1").await, 429, "the right end counts");
    let made = proxied.request(Method::POST, "/projects").bearer_auth(&admin.key);
    let made =
        made.header("x-forwarded-for", "6.6.6.6, 198.51.100.7").json(&serde_json::json!({"instruction": "build it"}));
    Answer::of(made).await.expect(201);
    let ip = async |api: &Api, key: &str| {
        let log = api.get_as(key, "/audit?action=project.create").await.expect(200).json();
        log["items"][0]["ip"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(ip(&proxied, &admin.key).await, "198.51.100.7");

    let alone = Api::start_with(&limit).await;
    let admin = alone.first_key().await;
    for (client, expected) in [("198.51.100.1", 401), ("198.51.100.2", 401), ("198.51.100.3", 429)] {
        assert_eq!(as_client(&alone, &stranger(), client).await, expected, "{client}");
    }
    let made = alone.request(Method::POST, "/projects").bearer_auth(&admin.key);
    let made = made.header("x-forwarded-for", "6.6.6.6").json(&serde_json::json!({"instruction": "build it"}));
    Answer::of(made).await.expect(201);
    assert_eq!(ip(&alone, &admin.key).await, "127.0.0.1");
}
