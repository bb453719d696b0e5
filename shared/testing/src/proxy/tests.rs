//! Each way of breaking, against a server that echoes.

use std::{io::ErrorKind, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Direction, Proxy};

const SOON: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(100);

async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    drydock_runtime::tasks::spawn("echo", async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            drydock_runtime::tasks::spawn("echoed", async move {
                let (mut says, mut hears) = socket.split();
                let _ended = tokio::io::copy(&mut says, &mut hears).await;
            });
        }
    });
    Proxy::start(target).await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn says(socket: &mut TcpStream, text: &[u8]) {
    socket.write_all(text).await.unwrap();
}

async fn hears(socket: &mut TcpStream, text: &[u8]) {
    let mut heard = vec![0; text.len()];
    timeout(SOON, socket.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text);
}

async fn silent(socket: &mut TcpStream) {
    timeout(QUIET, socket.read_u8()).await.unwrap_err();
}

async fn is_reset(socket: &mut TcpStream) {
    let error = timeout(SOON, socket.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn a_cut_resets_and_refuses_until_healed() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    says(&mut old, b"a").await;
    hears(&mut old, b"a").await;
    proxy.cut();
    is_reset(&mut old).await;
    is_reset(&mut connect(&proxy).await).await;
    proxy.heal();
    let mut new = connect(&proxy).await;
    says(&mut new, b"b").await;
    hears(&mut new, b"b").await;
    proxy.reset();
    is_reset(&mut new).await;
    let mut newer = connect(&proxy).await;
    says(&mut newer, b"c").await;
    hears(&mut newer, b"c").await;
}

#[tokio::test]
async fn a_stalled_way_keeps_connections_and_delivers_late() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    proxy.stall();
    let mut new = connect(&proxy).await;
    says(&mut old, b"old").await;
    says(&mut new, b"new").await;
    silent(&mut old).await;
    silent(&mut new).await;
    proxy.heal();
    hears(&mut old, b"old").await;
    hears(&mut new, b"new").await;
}

#[tokio::test]
async fn half_open_holds_one_direction() {
    let proxy = echo().await;
    let mut socket = connect(&proxy).await;
    for held in [Direction::ToServer, Direction::ToClient] {
        proxy.half_open(held);
        says(&mut socket, b"x").await;
        silent(&mut socket).await;
        proxy.heal();
        hears(&mut socket, b"x").await;
    }
    assert_eq!(proxy.held(), 2);
}

#[tokio::test]
async fn a_delay_delays() {
    let proxy = echo().await;
    let mut socket = connect(&proxy).await;
    proxy.delay(QUIET * 2);
    says(&mut socket, b"x").await;
    silent(&mut socket).await;
    hears(&mut socket, b"x").await;
}

#[tokio::test]
async fn only_the_answer_with_the_pattern_is_withheld_and_only_so_often() {
    let proxy = echo().await;
    proxy.cut_reply(b"done", 1);
    let mut socket = connect(&proxy).await;
    says(&mut socket, b"doing").await;
    hears(&mut socket, b"doing").await;
    says(&mut socket, b"it is done").await;
    is_reset(&mut socket).await;
    assert_eq!(proxy.replies_cut(), 1);
    let mut again = connect(&proxy).await;
    says(&mut again, b"done").await;
    hears(&mut again, b"done").await;
}

#[tokio::test]
async fn cuts_after_so_many_bytes() {
    let proxy = echo().await;
    proxy.cut_after(3);
    let mut socket = connect(&proxy).await;
    says(&mut socket, b"ab").await;
    hears(&mut socket, b"ab").await;
    says(&mut socket, b"cd").await;
    is_reset(&mut socket).await;
}
