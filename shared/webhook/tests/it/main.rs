//! Sending, to real servers on loopback: good ones, bad ones, and ones that must not be reached.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use drydock_runtime::tasks;
use drydock_webhook::{Attempt, Failure, Message, Policy, Sender};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const TIMEOUT: Duration = Duration::from_secs(1);

/// What a server does with a connection once it has read a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Says(&'static str),
    /// One byte of a head at a time, for ever.
    Drips,
    /// A head, then as much as anybody takes.
    Floods,
    /// A head, then a byte now and then.
    DripsBody,
}

struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = connections.clone();
        tasks::spawn("server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tasks::spawn("connection", serve(stream, manner));
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) {
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_err() {
        return;
    }
    let pause = Duration::from_millis(20);
    let drip = async |stream: &mut TcpStream| {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(pause).await
        }
    };
    let _closed = match manner {
        Manner::Says(answer) => stream.write_all(answer.as_bytes()).await,
        Manner::Drips => {
            let _closed = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
            drip(&mut stream).await;
            Ok(())
        }
        Manner::Floods => {
            let _closed = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n").await;
            while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
            Ok(())
        }
        Manner::DripsBody => {
            let _closed = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
            drip(&mut stream).await;
            Ok(())
        }
    };
    let _closed = stream.shutdown().await;
}

async fn send(url: &str, allowed: &str) -> Attempt {
    let sender = Sender::new(Policy::new(allowed.parse().unwrap()), TIMEOUT).unwrap();
    let message =
        Message { id: "m".to_owned(), timestamp: 7, signature: "v1,x".to_owned(), body: Bytes::from_static(b"{}") };
    sender.send(url, &message).await
}

fn outcome(attempt: Attempt) -> (Option<u16>, Option<Failure>) {
    (attempt.status, attempt.failure)
}

#[tokio::test]
async fn an_answer_is_judged_by_its_status_alone() {
    let cases = [
        (Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), (Some(200), None)),
        (Manner::Says("HTTP/1.1 204 No Content\r\n\r\n"), (Some(204), None)),
        (Manner::Says("HTTP/1.1 410 Gone\r\n\r\n"), (Some(410), Some(Failure::Gone))),
        (Manner::Says("HTTP/1.1 500 Oh\r\n\r\n"), (Some(500), Some(Failure::Status))),
        (Manner::Says("HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n"), (Some(302), Some(Failure::Redirect))),
        (Manner::Says("nonsense\r\n\r\n"), (None, Some(Failure::Broken))),
        (Manner::Says(""), (None, Some(Failure::Broken))),
        (Manner::Drips, (None, Some(Failure::Timeout))),
        (Manner::Floods, (Some(200), None)),
        (Manner::DripsBody, (Some(200), None)),
    ];
    for (manner, expected) in cases {
        let server = Server::start(manner).await;
        let began = Instant::now();
        let attempt = send(&format!("http://127.0.0.1:{}/x", server.port), "127.0.0.1").await;
        assert_eq!(outcome(attempt), expected, "{manner:?}");
        assert_eq!(server.connections(), 1, "{manner:?}: once, and nowhere else");
        assert!(began.elapsed() < TIMEOUT * 4, "{manner:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn nothing_connects_to_where_it_must_not() {
    let server = Server::start(Manner::Says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let port = server.port;
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
    ] {
        for allowed in ["", "10.0.0.0/8"] {
            // What a name stands for inside is not told apart from one that is not there.
            let is_looked_up = url.contains("localhost") && (url.starts_with("https") || !allowed.is_empty());
            let failure = if is_looked_up { Failure::Dns } else { Failure::Address };
            assert_eq!(outcome(send(&url, allowed).await), (None, Some(failure)), "{url} {allowed}");
        }
    }
    assert_eq!(outcome(send("https://no-such-host.invalid/", "").await), (None, Some(Failure::Dns)));
    assert_eq!(server.connections(), 0);
    // A host by its name is allowed, and an address is not by that.
    assert_eq!(outcome(send(&format!("http://localhost:{port}/"), "localhost").await), (Some(200), None));
    assert_eq!(outcome(send(&format!("http://127.0.0.1:{port}/"), "localhost").await), (None, Some(Failure::Address)));
}

#[tokio::test]
async fn what_cannot_be_connected_to_or_trusted_is_told_apart() {
    let plain = Server::start(Manner::Says("HTTP/1.1 200 OK\r\n\r\n")).await;
    let tls = send(&format!("https://127.0.0.1:{}/", plain.port), "127.0.0.1").await;
    assert_eq!(outcome(tls), (None, Some(Failure::Tls)));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let refused = send(&format!("http://127.0.0.1:{free}/"), "127.0.0.1").await;
    assert_eq!(outcome(refused), (None, Some(Failure::Connect)));
}
