//! What a hostile client can hold open, and for how long.

use std::time::Duration;

use drydock_egress::Bounds;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Server, Setting};

const LONG: Duration = Duration::from_secs(20);

fn short(bounds: Bounds) -> Setting {
    Setting { bounds, ..Setting::new() }
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_its_connection() {
    let stage = short(Bounds { head: Duration::from_millis(200), ..Bounds::default() }).open();
    for start in ["", "CONNECT a.example:443 HTTP/1.1\r\nHost"] {
        let answer = timeout(LONG, stage.say(start)).await.expect("the connection is closed");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
}

#[tokio::test]
async fn heads_that_are_none_or_too_big_are_refused() {
    let stage = Setting::new().open();
    let many = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect::<String>();
    for (head, status) in [
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned(), " 400 "),
        ("GET http://a.example/ HTTP/9.9\r\n\r\n".to_owned(), " 400 "),
        ("GET http://a.example/\0 HTTP/1.1\r\n\r\n".to_owned(), " 400 "),
        ("GET / HTTP/1.1\r\nBad Header: x\r\n\r\n".to_owned(), " 400 "),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), " 431 "),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), " 431 "),
    ] {
        let answer = timeout(LONG, stage.say(&head)).await.expect("the connection is closed");
        // One that is closed while it still writes may see a reset instead of the answer.
        assert!(
            answer.is_empty() && head.len() > 100_000 || answer.contains(status),
            "{}: {answer}",
            &head[..head.len().min(60)]
        );
    }
    assert!(stage.metric("requests_total", "malformed") >= 5.0);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let stage = short(Bounds { connections: 2, ..Bounds::default() }).open();
    let held = [stage.connect().await, stage.connect().await];
    let open = || async { (stage.metric("connections", "") as usize == 2).then_some(()) };
    drydock_testing::until("both are taken", LONG, open).await;
    let mut third: TcpStream = stage.connect().await;
    third.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(300), third.read(&mut byte)).await;
    assert!(early.is_err(), "it was served beside two others");
    drop(held);
    let answered = timeout(LONG, third.read(&mut byte)).await.expect("it has its turn");
    assert_eq!(answered.unwrap(), 1);
}

/// HTTP is done with a tunnel's connection as soon as it is one; its place is not free for that.
#[tokio::test]
async fn tunnels_keep_their_places() {
    let server = Server::start("").await;
    let bounds = Bounds { connections: 2, ..Bounds::default() };
    let stage = short(bounds).with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let held = [stage.tunnel(&to).await, stage.tunnel(&to).await];
    assert!(held.iter().all(|(head, _)| head.starts_with("HTTP/1.1 200 ")));
    let mut third: TcpStream = stage.connect().await;
    third.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(300), third.read(&mut byte)).await;
    assert!(early.is_err(), "it was served beside two tunnels");
    assert_eq!(stage.metric("connections", "") as usize, 2);
    drop(held);
    let answered = timeout(LONG, third.read(&mut byte)).await.expect("it has its turn");
    assert_eq!(answered.unwrap(), 1);
    drop(third);
    let none = || async { (stage.metric("connections", "") as usize == 0).then_some(()) };
    drydock_testing::until("all are over", LONG, none).await;
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_is_said_ends() {
    let server = Server::start("").await;
    let bounds = Bounds { idle: Duration::from_millis(300), ..Bounds::default() };
    let stage = short(bounds).with_domain("allowed.example", server.port).open();
    let (head, mut stream) = stage.tunnel(&format!("allowed.example:{}", server.port)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let read = timeout(LONG, stream.read(&mut [0])).await.expect("the tunnel is closed");
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn all_of_it_ends_with_the_attempt() {
    let server = Server::start("").await;
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let (address, to) = (stage.address(), format!("allowed.example:{}", server.port));
    let (_, mut stream) = stage.tunnel(&to).await;
    stream.write_all(b"half").await.unwrap();
    let sent = || async { (stage.metric("bytes_total", "out") as usize == 4).then_some(()) };
    drydock_testing::until("it has passed", LONG, sent).await;
    assert_eq!(stage.close().await, [format!("[egress] CONNECT {to}: allowed, 4 bytes out, 0 in")]);
    assert_eq!(timeout(LONG, stream.read(&mut [0])).await.expect("the tunnel is closed").unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
}
