//! How many there may be.

use tokio::io::AsyncWriteExt as _;

use super::{HALF, ask, from, rest};
use crate::harness::Api;

const OF_ONE: &str = "drydock_api_connections_refused_total{kind=\"address\"}";
const OF_ALL: &str = "drydock_api_connections_refused_total{kind=\"all\"}";

/// Red without a limit: then those of one address are as many as it makes.
#[tokio::test]
async fn an_address_has_its_share_and_the_next_one_is_told() {
    let api = Api::start_with(&["--address-connection-limit", "5"]).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut stream = from([127, 0, 0, 2], &api).await;
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        open.push(stream);
    }
    let said = rest(&mut from([127, 0, 0, 2], &api).await).await;
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nretry-after: 2"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["error"], &body["code"]), (&"unavailable".into(), &503.into()));
    assert_eq!(body["detail"], "Too many connections are open from this address");
    assert!(head.contains(&format!("\r\nx-request-id: {}", body["correlation_id"].as_str().unwrap())), "{head}");
    assert_eq!((api.metric(OF_ONE).await, api.metric(OF_ALL).await), (1, 0), "others are served");
    drop(open);
    drydock_testing::until("its place is free", crate::harness::PATIENCE, async || {
        let mut stream = from([127, 0, 0, 2], &api).await;
        // A refused connection may be closed before it has written.
        let _written = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        rest(&mut stream).await.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

/// Red when half-open requests keep their places, or when what cannot be taken keeps the server from others.
#[tokio::test]
async fn a_thousand_half_open_requests_do_not_stop_the_service() {
    let api =
        Api::start_with(&["--connection-limit", "300", "--address-connection-limit", "200", "--head-timeout", "5s"]);
    let api = api.await;
    let mut open = Vec::new();
    for number in 0..1000_u16 {
        let mut stream = from([127, 0, 0, if number % 2 == 0 { 2 } else { 3 }], &api).await;
        // One that is refused may be closed already.
        let _written = stream.write_all(HALF).await;
        open.push(stream);
    }
    // Whoever had a connection goes on; a new one has to wait until the half-open ones are ended.
    drydock_testing::until("the service answers again", crate::harness::PATIENCE, async || {
        let mut stream = from([127, 0, 0, 4], &api).await;
        let _written = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        rest(&mut stream).await.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    assert!(api.metric(OF_ALL).await > 0);
    api.until_metric("drydock_api_connections_cut_total{kind=\"head\"}", 100).await;
    drop(open);
}

#[tokio::test]
async fn a_trusted_proxy_stands_for_many() {
    let api = Api::start_with(&["--address-connection-limit", "2", "--trusted-proxies", "127.0.0.9"]).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut stream = from([127, 0, 0, 9], &api).await;
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
        open.push(stream);
    }
    assert_eq!(api.metric(OF_ONE).await, 0);
}
