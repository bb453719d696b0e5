//! Readers get one continuous byte stream and one gapless line of events, whichever replica they ask, and however often
//! they come back.

use futures_util::StreamExt as _;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::stack::{
    Client, Stack,
    client::{http, id, shell},
};

/// One server-sent event.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    kind: String,
    data: Value,
}

/// Reads events until `enough` or the server's end.
async fn read(client: &Client, path: &str, last: Option<&str>, enough: usize) -> Vec<Event> {
    let mut request = http().get(format!("{}/api/v1{path}", client.base())).header(ACCEPT, "text/event-stream");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let (mut stream, mut text, mut events) = (answer.bytes_stream(), String::new(), Vec::new());
    while let Some(bytes) = stream.next().await {
        text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned()))
        {
            text = rest;
            events.extend(parse(&event));
            if events.len() >= enough || events.last().is_some_and(|event| event.kind == "end") {
                return events;
            }
        }
    }
    panic!("{path} ended without saying so: {events:?}");
}

fn parse(block: &str) -> Option<Event> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim_start().to_owned()));
    let data = field("data:")?;
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    Some(Event { id: field("id:"), kind: field("event:").unwrap_or_else(|| "message".to_owned()), data })
}

/// Follows to the end, coming back to the other replica after every few events.
async fn follow(client: &Client, path: &str) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let last = all.iter().rev().find_map(|event| event.id.clone());
        let events = read(client, path, last.as_deref(), 3).await;
        let ended = events.last().is_some_and(|event| event.kind == "end");
        all.extend(events);
        if ended {
            return all;
        }
    }
}

#[tokio::test]
async fn a_log_followed_over_replicas_is_the_log() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to watch"})).await);
    let script =
        "for i in $(seq 1 40); do echo line $i; sleep 0.05; done; head -c 300000 /dev/zero | tr '\\0' x | fold -w 1000";
    let job = client.submit(&project, shell(script)).await;
    let path = format!("/projects/{project}/jobs/{job}/logs/stream");
    client.is_taken(&job).await;
    let events = follow(client, &path).await;
    let streamed: String =
        events.iter().filter(|event| event.kind != "end").map(|event| event.data["text"].as_str().unwrap()).collect();
    let whole = client.log(&project, &job).await;
    assert_eq!(streamed, whole, "streamed while running = read at the end");
    assert!(whole.contains("line 1\nline 2\n") && whole.contains("line 40\n"));
    // Once sealed it is the same again, whole and in part.
    drydock_testing::until("the log is sealed", crate::stack::PATIENCE, || async {
        let db = stack.database.client().await.unwrap();
        let rows =
            "SELECT count(*) FROM log_chunk c JOIN attempt a ON a.id = c.attempt_id WHERE a.job_id = $1::text::uuid";
        let row = db.query_one(rows, &[&job]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    assert_eq!(client.log(&project, &job).await, whole);
    let late: String = follow(client, &path)
        .await
        .iter()
        .filter(|event| event.kind != "end")
        .map(|event| event.data["text"].as_str().unwrap())
        .collect();
    assert_eq!(late, whole, "a page opened late misses nothing");
}

#[tokio::test]
async fn events_are_gapless_in_order_and_end() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = id(&client.project(json!({"instruction": "an app to tell of"})).await);
    let job = client.submit(&project, shell("sleep 1; echo x > x.txt")).await;
    let events = follow(client, &format!("/jobs/{job}/events")).await;
    let details: Vec<&str> = events
        .iter()
        .filter_map(|event| event.data["data"]["status_detail"].as_str().or(event.data["status_detail"].as_str()))
        .collect();
    assert_eq!(details.first(), Some(&"queued"), "{events:?}");
    assert_eq!(details.last(), Some(&"completed"), "{events:?}");
    let ids: Vec<&String> = events.iter().filter_map(|event| event.id.as_ref()).collect();
    let mut unique = ids.clone();
    unique.dedup();
    assert_eq!(ids, unique, "no event twice");
    let again = follow(client, &format!("/jobs/{job}/events")).await;
    assert_eq!(again.len(), events.len(), "read late: the same line of events");
    let rows = stack.database.client().await.unwrap();
    let count: i64 =
        rows.query_one("SELECT count(*) FROM event WHERE job_id = $1::text::uuid", &[&job]).await.unwrap().get(0);
    assert_eq!(
        events.iter().filter(|event| event.id.is_some() && event.kind != "end").count() as i64,
        count,
        "every row was seen"
    );
}
