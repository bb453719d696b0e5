//! Requests that two servers in a row might read differently (RFC 9112 §11), or that only try what happens. Nothing runs for any of them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Api, PATIENCE};

/// What is sent, letter by letter; then the status lines that may come back, `-` for none.
const CASES: &[(&str, &str, &[u16])] = &[
    ("no Host", "GET /livez HTTP/1.1\r\n\r\n", &[400]),
    ("two Hosts", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
    ("the same Host twice", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400]),
    ("another authority", "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400]),
    ("the same authority", "GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200]),
    ("no Host in HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", &[200]),
    (
        "two lengths",
        "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        &[400],
    ),
    ("a list of lengths", "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2, 2\r\n\r\n{}", &[400]),
    ("a signed length", "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Length: +2\r\n\r\n{}", &[400]),
    (
        "another coding",
        "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        &[400, 501],
    ),
    (
        "chunks in HTTP/1.0",
        "POST /api/v1/batches HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        &[400],
    ),
    ("a folded line", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n", &[400]),
    ("a blank before the colon", "GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", &[400]),
    ("NUL in a field", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: \0\r\n\r\n", &[400]),
    ("no version", "GET /livez\r\n\r\n", &[400]),
    ("another version", "GET /livez HTTP/3.0\r\nHost: localhost\r\n\r\n", &[400, 505]),
    ("no request", "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n", &[400]),
    ("TRACE", "TRACE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &[405]),
    ("TRACE of a route with a key", "TRACE /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n\r\n", &[405]),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", &[400, 404, 405]),
    ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404, 405]),
    ("a method of its own", "BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &[405]),
    (
        "another method in a field",
        "GET /api/v1/projects/x HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
        &[404],
    ),
    ("dots in the path", "GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404]),
    ("coded dots in the path", "GET /api/v1/%2e%2e/livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404]),
];

/// The status line that comes back, and all that follows it.
async fn answer(api: &Api, request: &[u8]) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
    // It may have enough before it has heard all.
    let _sent = stream.write_all(request).await;
    let mut said = Vec::new();
    let heard = async {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut part).await {
            said.extend_from_slice(&part[..read]);
            if said.windows(4).any(|four| four == b"\r\n\r\n") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("it answers or hangs up");
    let said = String::from_utf8_lossy(&said).into_owned();
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), said)
}

#[tokio::test]
async fn what_is_ambiguous_is_refused_and_what_is_odd_does_nothing() {
    let api = Api::start().await;
    let mut wrong = Vec::new();
    for (what, request, expected) in CASES {
        let (status, said) = answer(&api, request.as_bytes()).await;
        if !expected.contains(&status) {
            wrong.push(format!("{what}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    api.get("/limits").await.expect(200);
    assert_eq!(api.get("/batches").await.expect(200).json()["items"], serde_json::json!([]), "nothing was made");
}

/// The HTTP implementation's promise (RFC 9112 §6.1). Red when the connection goes on: with a proxy that reads the length, the second request would be a part of the first, and somebody
/// else's answer the one to it.
#[tokio::test]
async fn of_a_request_with_a_length_and_chunks_nothing_follows() {
    let api = Api::start().await;
    let inner = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunks = format!("2\r\n{{}}\r\n0\r\n\r\n{inner}");
    let length = format!("Content-Length: {}", chunks.len());
    for (first, second) in [(length.as_str(), "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", &length)] {
        let head = format!(
            "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{first}\r\n{second}\r\n\r\n"
        );
        let mut stream = tokio::net::TcpStream::connect(api.address).await.unwrap();
        stream.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the server ends it");
        // What was not read makes a reset of the end.
        let _ended = read;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.starts_with("HTTP/1.1 422 "), "{said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    }
}

/// HT-03: each is told by its own status.
#[tokio::test]
async fn what_is_too_long_is_told_apart() {
    let api = Api::start().await;
    let field = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "x".repeat(1_000_000));
    let fields = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: 1\r\n".repeat(10_000));
    let uri = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000));
    let extension = format!(
        "POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         1;{}\r\n{{\r\n0\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let cases = [("field", field, 431), ("fields", fields, 431), ("uri", uri, 414), ("extension", extension, 400)];
    let mut wrong = Vec::new();
    for (what, request, expected) in cases {
        let (status, said) = answer(&api, request.as_bytes()).await;
        // A client that is still sending may hear nothing but the end.
        if status != expected && !said.is_empty() {
            wrong.push(format!("{what}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    let long = |size: usize| format!("{{\"name\": \"{}\"}}", "x".repeat(size));
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(long(1024 * 1024))]));
    for body in [long(1024 * 1024).into(), chunked] {
        let request = api.request(reqwest::Method::POST, "/batches").header("content-type", "application/json");
        crate::harness::Answer::of(request.body(body)).await.expect(413);
    }
}
