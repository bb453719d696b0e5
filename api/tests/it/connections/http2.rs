//! What an HTTP/2 client may not do. Each time the service goes on for others.

use super::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, FIELDS, GOAWAY, HEADERS, Http2, RESET, frame};
use crate::harness::Api;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;

#[tokio::test]
async fn limits_are_told() {
    let api = Api::start_with(&["--http2-stream-limit", "7"]).await;
    let connected = Http2::connect(&api).await;
    let told = |id: u16| connected.settings.iter().find(|(known, _)| *known == id).map(|(_, value)| *value);
    assert_eq!((told(MAX_CONCURRENT_STREAMS), told(MAX_HEADER_LIST_SIZE)), (Some(7), Some(32 * 1024)));
}

#[tokio::test]
async fn an_ordinary_request_is_answered() {
    let api = Api::start().await;
    let mut connected = Http2::connect(&api).await;
    assert!(connected.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &FIELDS)).await);
    loop {
        let (kind, payload) = connected.hear().await.expect("an answer");
        if kind == DATA && !payload.is_empty() {
            assert!(String::from_utf8_lossy(&payload).contains("Route not found"));
            break;
        }
    }
}

/// CVE-2023-44487: red when a connection may go on for as long as it likes with requests that it takes back.
#[tokio::test]
async fn who_takes_back_one_request_after_another_is_cut_off() {
    let api = Api::start().await;
    let mut connected = Http2::connect(&api).await;
    let mut flood = Vec::new();
    for number in 0..10_000 {
        let stream = 1 + 2 * number;
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &FIELDS));
        flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    // The server may end it in the middle.
    let _sent = connected.say(&flood).await;
    let heard = connected.rest().await;
    let answers = heard.iter().filter(|kind| **kind == HEADERS).count();
    assert!(heard.contains(&GOAWAY) || answers < 1_000, "{answers} answers in {} frames", heard.len());
    assert_eq!(
        api.metric("drydock_api_connections_cut_total{kind=\"idle\"}").await,
        0,
        "for the flood, not for idleness"
    );
    api.get("/limits").await.expect(200);
}

/// CVE-2024-27316: a head that goes on and on.
#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let api = Api::start().await;
    let mut connected = Http2::connect(&api).await;
    connected.say(&frame(HEADERS, END_STREAM, 1, &FIELDS)).await;
    // A field without a name in the index: `a: x…`.
    let field = [&[0x00, 0x01, b'a', 0x7f, 0x81, 0x01][..], &[b'x'; 256]].concat();
    let more = frame(CONTINUATION, 0, 1, &field.repeat(50));
    let mut sent = 0;
    while sent < 10_000 && connected.say(&more).await {
        sent += 1;
    }
    assert!(sent < 10_000, "a hundred megabytes of one head were taken");
    connected.rest().await;
    api.get("/limits").await.expect(200);
}

/// Red when HTTP/2 has no end to the wait for a head.
#[tokio::test]
async fn a_head_that_is_never_ended_and_a_connection_without_requests_are_ended() {
    let api = Api::start_with(&["--head-timeout", "1s", "--idle-timeout", "2s"]).await;
    let silent = Http2::connect(&api).await;
    let mut half = Http2::connect(&api).await;
    half.say(&frame(HEADERS, END_STREAM, 1, &FIELDS)).await;
    let mut later = Http2::connect(&api).await;
    later.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &FIELDS)).await;
    loop {
        let (kind, _) = later.hear().await.expect("an answer");
        if kind == DATA {
            break;
        }
    }
    silent.rest().await;
    half.rest().await;
    assert!(later.rest().await.contains(&GOAWAY), "it is told");
}
