//! Model servers whose keys the broker adds.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::harness::{KEY, SERVER, Server, Setting, head_of};

const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

#[tokio::test]
async fn the_key_is_put_in_place_of_the_placeholder_under_tls() {
    let (server, roots) = Server::start_tls(DONE).await;
    let url = format!("https://{SERVER}:{}/v1", server.port);
    let setting = Setting { roots, ..Setting::new().with_endpoint(&url) };
    let stage = setting.with_name(SERVER, ["127.0.0.1".parse().unwrap()]).open();
    let request = format!(
        "POST /MODEL_URL/responses?q=hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n{}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}",
        stage.bearer()
    );
    let answer = stage.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    let heard = server.heard().await.join("");
    assert!(heard.starts_with("POST /v1/responses?q=hidden HTTP/1.1\r\n") && heard.ends_with("{}"), "{heard}");
    assert!(heard.contains(&format!("authorization: Bearer {KEY}\r\n")), "{heard}");
    assert!(heard.contains(&format!("host: {SERVER}:{}\r\n", server.port)), "{heard}");
    assert!(!heard.contains(stage.broker.placeholder()), "{heard}");
    let said = stage.close().await;
    let start = format!("[egress] POST https://{SERVER}:{}/v1/responses: allowed, answered 200, ", server.port);
    assert!(said.len() == 1 && said[0].starts_with(&start), "{said:?}");
    assert!(!said[0].contains("hidden") && !said[0].contains(KEY), "{said:?}");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_no_key() {
    let (server, _) = Server::start_tls(DONE).await;
    let (_, roots) = Server::start_tls(DONE).await;
    let url = format!("https://{SERVER}:{}/v1", server.port);
    let setting = Setting { roots, ..Setting::new().with_endpoint(&url) };
    let stage = setting.with_name(SERVER, ["127.0.0.1".parse().unwrap()]).open();
    let answer = stage.say(format!("GET /MODEL_URL/x HTTP/1.1\r\nHost: x\r\n{}\r\n", stage.bearer())).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(server.heard().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_placeholder_nothing_is_sent() {
    let server = Server::start(DONE).await;
    let stage = Setting::new().with_endpoint(&format!("http://127.0.0.1:{}/v1", server.port)).open();
    let own = stage.broker.placeholder().to_owned();
    for header in [
        String::new(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        format!("Authorization: Bearer {own}x\r\n"),
        format!("Authorization: Basic {own}\r\n"),
        format!("Authorization: Bearer {KEY}\r\n"),
        format!("Authorization: Bearer {own}\r\nAuthorization: Bearer {own}\r\n"),
        format!("X-Api-Key: {own}\r\n"),
        stage.pass(),
    ] {
        let answer = stage.say(format!("GET /MODEL_URL/x HTTP/1.1\r\nHost: x\r\n{header}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{header}: {answer}");
    }
    let climbing =
        stage.say(format!("GET /MODEL_URL/%2e%2e/admin HTTP/1.1\r\nHost: x\r\n{}\r\n", stage.bearer())).await;
    assert!(climbing.starts_with("HTTP/1.1 404 "), "{climbing}");
    assert_eq!(server.heard().await, Vec::<String>::new());
    assert_eq!(stage.metric("requests_total", "credential"), 8.0);
}

/// `TRACE` has a server answer with what it was sent, which holds the key.
#[tokio::test]
async fn methods_that_tell_the_key_or_are_unknown_are_refused() {
    let server = Server::start(DONE).await;
    let url = format!("http://127.0.0.1:{}/v1", server.port);
    let stage = Setting::new().with_endpoint(&url).with_domain("allowed.example", server.port).open();
    let proxied = format!("http://allowed.example:{}/", server.port);
    for (method, target, header) in [
        ("TRACE", "/MODEL_URL/x", stage.bearer()),
        ("TRACK", "/MODEL_URL/x", stage.bearer()),
        ("DEBUG", "/MODEL_URL/x", stage.bearer()),
        ("trace", "/MODEL_URL/x", stage.bearer()),
        ("TRACE", &proxied, stage.pass()),
    ] {
        let answer = stage.say(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{header}\r\n")).await;
        let is_told = answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD, POST");
        assert!(is_told, "{method} {target}: {answer}");
    }
    assert_eq!(server.heard().await, Vec::<String>::new());
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let bearer = stage.bearer();
        let request = format!("{method} /MODEL_URL/x HTTP/1.1\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n");
        let answer = stage.say(request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method}: {answer}");
    }
}

#[tokio::test]
async fn a_key_in_the_head_of_an_answer_is_dropped() {
    let head = format!(
        "HTTP/1.1 200 {KEY}\r\nX-Echo: Bearer {KEY}\r\nSet-Cookie: kept\r\nSet-Cookie: k={KEY}; x\r\nContent-Length: 0\r\n\r\n"
    );
    let server = Server::start(head.leak()).await;
    let stage = Setting::new().with_endpoint(&format!("http://127.0.0.1:{}/v1", server.port)).open();
    let bearer = stage.bearer();
    let request = format!("GET /MODEL_URL/x HTTP/1.1\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n");
    let answer = stage.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 0"), "{answer}");
    assert!(!answer.contains(KEY) && !answer.contains("x-echo"), "{answer}");
}

/// An answer is passed on as it comes: its second part is written after its first was read on the other side.
#[tokio::test]
async fn answers_stream() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Setting::new().with_endpoint(&format!("http://{}/v1", listener.local_addr().unwrap())).open();
    let (read, has_read) = tokio::sync::oneshot::channel::<()>();
    let serving = async {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        head_of(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}8\r\ndata: 1\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        has_read.await.unwrap();
        stream.write_all(b"8\r\ndata: 2\n\r\n0\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
    };
    let asking = async {
        let mut stream = BufReader::new(stage.connect().await);
        let request = format!("GET /MODEL_URL/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", stage.bearer());
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = head_of(&mut stream).await;
        assert!(head.contains("text/event-stream"), "{head}");
        let mut line = String::new();
        while !line.contains("data: 1\n") {
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "{line}");
        }
        read.send(()).unwrap();
        stream.read_to_string(&mut line).await.unwrap();
        assert!(line.contains("data: 2\n"), "{line}");
    };
    tokio::join!(serving, asking);
}
