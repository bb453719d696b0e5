//! Names of many addresses, some of which nobody answers at.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use drydock_egress::Bounds;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{Server, Setting, Stage};

const NAME: &str = "many.example";
const CONNECT: Duration = Duration::from_millis(500);

/// The first addresses of loopback after `127.0.0.1`.
fn others(count: u8) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|number| Ipv4Addr::new(127, 0, 0, 2 + number).into())
}

fn stage(port: u16, addresses: impl Iterator<Item = IpAddr>) -> Stage {
    let bounds = Bounds { connect: CONNECT, ..Bounds::default() };
    let mut setting = Setting { bounds, ..Setting::new() }.with_domain(NAME, port);
    setting.names.insert(NAME.to_owned(), addresses.collect());
    setting.open()
}

/// A port whose queue is full: who connects there waits, and gets no answer.
async fn hole(at: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(at).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    let mut to = listener.local_addr().unwrap();
    if to.ip().is_unspecified() {
        to.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(to)).await {
        waiting.push(stream.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_not_waited_for_with_all_the_time() {
    let server = Server::start("").await;
    let _hole = hole((Ipv4Addr::new(127, 0, 0, 2), server.port).into()).await;
    let stage = stage(server.port, others(1).chain([Ipv4Addr::LOCALHOST.into()]));
    let (head, _stream) = stage.tunnel(&format!("{NAME}:{}", server.port)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn all_addresses_of_a_name_have_one_time_together() {
    let (listener, _waiting) = hole((Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let port = listener.local_addr().unwrap().port();
    let stage = stage(port, others(8));
    let began = Instant::now();
    let (head, _) = stage.tunnel(&format!("{NAME}:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    // Each for itself, they had eight times as much.
    assert!(began.elapsed() < 4 * CONNECT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn of_a_name_with_many_addresses_only_the_first_are_tried() {
    let server = Server::start("").await;
    for (before, status) in [(7, "HTTP/1.1 200 "), (8, "HTTP/1.1 502 ")] {
        let stage = stage(server.port, others(before).chain([Ipv4Addr::LOCALHOST.into()]));
        let (head, _stream) = stage.tunnel(&format!("{NAME}:{}", server.port)).await;
        assert!(head.starts_with(status), "{before}: {head}");
    }
}
