//! What no decent client sends. The API answers with its one error body, or hangs up where there is no request to answer, and goes on.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Answer, Api, Content, Worker};

/// What a file holds is of any kind, and an archive of files tells its kind by its first bytes.
const ANY_BYTES: &str = "/api/v1/projects/{id}/files";
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

#[tokio::test]
async fn another_content_type_is_refused_by_each_route_with_a_body() {
    let api = Api::start().await;
    let document = api.get("//openapi.json").await.expect(200).json();
    let mut asked = 0;
    let paths = document["paths"].as_object().unwrap().iter();
    for (pattern, item) in paths.filter(|(pattern, _)| !pattern.starts_with(ANY_BYTES)) {
        for method in
            item.as_object().unwrap().keys().filter(|method| ["post", "put", "patch"].contains(&method.as_str()))
        {
            let path = pattern.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
            let path = format!("/{}?instruction=import", path.collect::<Vec<_>>().join("/"));
            let path = if pattern.ends_with("/import") { path.as_str() } else { path.split('?').next().unwrap() };
            let request = api.request(method.to_uppercase().parse().unwrap(), path);
            let answer = Answer::of(request.header("content-type", "text/csv").body("a,b")).await;
            assert_eq!(
                (answer.status, answer.error().0.as_str()),
                (415, "unsupported_media_type"),
                "{method} {pattern}"
            );
            asked += 1;
        }
    }
    assert!(asked >= 29, "{asked} routes");
}

#[tokio::test]
async fn bodies_that_try_the_parser() {
    let api = Api::start().await;
    let send = async |body: Vec<u8>, encoding: Option<&str>| {
        let request = api.request(Method::POST, "/projects").header("content-type", "application/json").body(body);
        let request = encoding.into_iter().fold(request, |request, name| request.header("content-encoding", name));
        Answer::of(request).await
    };
    for open in ["[", "{\"a\":"] {
        let answer = send(open.repeat(10_000).into_bytes(), None).await.expect(400);
        assert!(answer.text("detail").contains("recursion limit exceeded"), "{open}");
    }
    let deep = format!("{{\"instruction\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(send(deep.into_bytes(), None).await.expect(422).faults(), ["instruction: string_type"]);
    let twice = br#"{"instruction": "the first one", "instruction": "the last one"}"#;
    let refused = send(twice.to_vec(), None).await.expect(400);
    assert!(
        refused.text("detail").contains("the name \"instruction\" is given twice at line 1"),
        "{:?}",
        refused.json()
    );
    for lone in [r#"{"instruction": "abcde\ud800"}"#, r#"{"instruction": "abcde\udc00\ud800"}"#, r#"{"\ud800": 1}"#] {
        send(lone.as_bytes().to_vec(), None).await.expect(400);
    }
    let nul = br#"{"instruction": "abcde", "labels": {"a\u0000": "b"}}"#;
    send(nul.to_vec(), None).await.expect(422);
    // RFC 1952: the first bytes of a gzip file.
    for coding in ["gzip", "identity, gzip", "x"] {
        let body = br#"{"instruction": "abcde"}"#.to_vec();
        let refused = send(body, Some(coding)).await.expect(415);
        assert_eq!(refused.header("accept-encoding"), Some("identity"), "{coding}");
    }
    send(br#"{"instruction": "abcde"}"#.to_vec(), Some("identity")).await.expect(201);
    let huge = format!("{{\"instruction\": \"abcde\", \"priority\": 1{}}}", "0".repeat(100_000));
    send(huge.into_bytes(), None).await.expect(400);
}

#[tokio::test]
async fn query_strings_that_make_no_sense() {
    let api = Api::start().await;
    for query in ["limit=%00", "limit=%ff", "limit=1&limit=2", "=&=x&&&", "limit", "%6cimit=x", "cursor=%F0%9F%A6%80"] {
        let answer = api.get(&format!("/projects?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", String::from_utf8_lossy(&answer.body));
    }
    api.get(&format!("/projects?cursor={}", "x".repeat(30_000))).await.expect(422);
}

/// What comes back, and whether the API still serves others afterwards.
async fn after(api: &Api, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    for part in parts {
        // It may hang up before it has heard all of it.
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let heard = tokio::time::timeout(crate::harness::PATIENCE, stream.read_to_end(&mut said)).await;
    let _cut_off = heard.expect("it answers or hangs up");
    api.get("/limits").await.expect(200);
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn heads_and_chunks_that_are_no_http() {
    let api = Api::start().await;
    let (start, long) =
        (b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\nX-Long: ".as_slice(), vec![b'x'; 10_000_000]);
    let said = after(&api, &[start, &long, b"\r\nConnection: close\r\n\r\n"]).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    let many = "X-A: 1\r\n".repeat(1_250_000).into_bytes();
    let said = after(&api, &[b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\n", &many, b"\r\n"]).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
    let said = after(
        &api,
        &[b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: \xff\xfe\r\nConnection: close\r\n\r\n"],
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let said = after(
        &api,
        &[b"GET /api/v1/limits HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n"],
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 401") && said.contains("Malformed API key"), "{said}");
    let chunked = b"POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\nno chunk\r\n";
    let said = after(&api, &[chunked]).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    let smuggled =
        b"POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                     Content-Length: 3\r\nConnection: close\r\n\r\n{}x";
    let said = after(&api, &[smuggled]).await;
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
}

#[tokio::test]
async fn of_two_racing_clients_with_one_key_one_makes_it() {
    let api = Api::start().await;
    let (project, ended) = api.project().await;
    Worker::start(&api, &["dummy"]).await.publish(&ended, &[("a", Content::File(b"x"))]).await;
    let job = json!({"job_type": "edit", "instruction": "x"});
    let schedule = json!({"name": "n", "project_id": project, "cron": "@daily", "job": job});
    let routes: [(String, Value); 6] = [
        ("/projects".to_owned(), json!({"instruction": "build a thing"})),
        (format!("/projects/{project}/jobs"), job),
        (format!("/projects/{project}/fork"), json!({})),
        (format!("/jobs/{ended}/retry"), json!({})),
        ("/batches".to_owned(), json!({"name": "many"})),
        ("/schedules".to_owned(), schedule),
    ];
    let document = api.get("//openapi.json").await.expect(200).json();
    let taking = document["paths"].as_object().unwrap().values().filter(|item| {
        let parameters = item["post"]["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"))
    });
    // A session is answered when a worker has it, and an action with a stream: `sessions.rs` and `workspaces` ask for one twice.
    assert_eq!(taking.count(), routes.len() + 2, "a route that takes a key is missing here");
    for (path, body) in &routes {
        for round in 0..3 {
            let key = format!("race-{round}-{path}");
            let ask = async || api.post_with(path, body, &[("idempotency-key", &key)]).await;
            let (a, b, c) = tokio::join!(ask(), ask(), ask());
            let ids: Vec<String> = [&a, &b, &c].iter().map(|answer| answer.text("id")).collect();
            assert!(ids.iter().all(|id| *id == ids[0]), "{path}: {ids:?}");
            let made = [&a, &b, &c].iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
            assert_eq!(made, 1, "{path}");
        }
    }
}
