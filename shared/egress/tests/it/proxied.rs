//! What an agent may ask a broker for as a proxy's client, and what comes of anything else.

use std::net::Ipv4Addr;

use drydock_egress::Domain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Server, Setting};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\nhello";

#[tokio::test]
async fn a_tunnel_to_a_domain_carries_bytes_both_ways_and_is_told() {
    let server = Server::start(HELLO).await;
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let (head, mut stream) = stage.tunnel(&to).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream.write_all(b"anything at all\r\n\r\n").await.unwrap();
    stream.get_mut().shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, HELLO);
    assert_eq!(server.heard().await, ["anything at all\r\n\r\n"]);
    assert_eq!((stage.metric("requests_total", "allowed"), stage.metric("bytes_total", "out")), (1.0, 19.0));
    assert_eq!(stage.metric("bytes_total", "in") as usize, HELLO.len());
    assert_eq!(stage.close().await, [format!("[egress] CONNECT {to}: allowed, 19 bytes out, {} in", HELLO.len())]);
}

#[tokio::test]
async fn only_the_named_host_and_port_is_tunnelled_to() {
    let server = Server::start(HELLO).await;
    let stage = Setting::new().with_domain("allowed.example", server.port);
    let stage = stage.with_name("other.example", [Ipv4Addr::LOCALHOST.into()]).open();
    let (port, own) = (server.port, stage.broker.port());
    let refused = [
        format!("other.example:{port}"),
        "allowed.example:22".to_owned(),
        "allowed.example:443".to_owned(),
        format!("allowed.example.:{port}"),
        format!("127.0.0.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("localhost:{port}"),
        format!("127.0.0.1:{own}"),
        format!("user@allowed.example:{port}"),
    ];
    for to in &refused {
        let (head, _) = stage.tunnel(to).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{to}: {head}");
    }
    assert_eq!(stage.metric("requests_total", "domain") as usize, refused.len());
    let said = stage.close().await;
    assert_eq!(said[0], format!("[egress] CONNECT other.example:{port}: refused, not among the agent's domains"));
    assert!(said.last().unwrap().starts_with("[egress] CONNECT allowed.example:"), "{said:?}");
    assert_eq!((said.len(), server.heard().await), (refused.len(), Vec::new()));
}

/// Without a list there is nothing to reach.
#[tokio::test]
async fn no_domains_are_none() {
    let server = Server::start(HELLO).await;
    let stage = Setting::new().with_name("allowed.example", [Ipv4Addr::LOCALHOST.into()]).open();
    let (head, _) = stage.tunnel(&format!("allowed.example:{}", server.port)).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_with_all_its_addresses() {
    let inside = [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "168.63.129.16",
        "::1",
        "fd00::1",
        "fe80::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    for address in inside {
        let mut setting =
            Setting::new().with_name("rebound.example", ["1.1.1.1".parse().unwrap(), address.parse().unwrap()]);
        setting.domains.push("rebound.example".parse().unwrap());
        let stage = setting.open();
        let (head, _) = stage.tunnel("rebound.example:443").await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{address}: {head}");
        assert_eq!(stage.metric("requests_total", "address"), 1.0, "{address}");
    }
}

/// `private = true` is for an operator's own networks, not for what the machine is told of itself.
#[tokio::test]
async fn a_private_domain_leads_to_no_metadata() {
    for address in [
        "169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd00:ec2::253",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "::ffff:127.0.0.1",
        "0.0.0.0",
    ] {
        let stage =
            Setting::new().with_domain("own.example", 80).with_name("own.example", [address.parse().unwrap()]).open();
        let (head, _) = stage.tunnel("own.example:80").await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{address}: {head}");
    }
}

/// Its port is not known before it listens: the agent may ask for every port that the system could give it.
#[tokio::test]
async fn a_broker_does_not_ask_itself() {
    let mut setting = Setting::new().with_domain("own.example", 1);
    let open = |port: u16| format!("own.example:{port}").parse::<Domain>().unwrap().private();
    setting.domains.extend((1024..=u16::MAX).map(open));
    let stage = setting.open();
    let (head, _) = stage.tunnel(&format!("own.example:{}", stage.broker.port())).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(stage.metric("requests_total", "address") as usize, 1);
}

#[tokio::test]
async fn plain_http_is_passed_on_without_what_is_of_the_connection() {
    let server = Server::start(HELLO).await;
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let request = format!(
        "POST http://{to}/a/b?token=hidden HTTP/1.1\r\nHost: elsewhere.example\r\n{}Connection: close, x-mine\r\nX-Mine: 1\r\nX-Kept: 2\r\n\
         Upgrade: websocket\r\nContent-Length: 4\r\n\r\nbody",
        stage.pass()
    );
    let answer = stage.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    assert!(!answer.to_lowercase().contains("x-hop"), "{answer}");
    let heard = server.heard().await.join("").to_lowercase();
    assert!(heard.starts_with("post /a/b?token=hidden http/1.1\r\n") && heard.ends_with("\r\n\r\nbody"), "{heard}");
    assert!(heard.contains(&format!("host: {to}\r\n")) && heard.contains("x-kept: 2"), "{heard}");
    for gone in ["proxy-authorization", "x-mine", "upgrade", "elsewhere", "transfer-encoding"] {
        assert!(!heard.contains(gone), "{gone}: {heard}");
    }
    let said = stage.close().await;
    assert!(said[0].starts_with(&format!("[egress] POST http://{to}/a/b: allowed, answered 200, ")), "{said:?}");
    assert!(said.len() == 1 && !said[0].contains("hidden"), "{said:?}");
}

#[tokio::test]
async fn redirects_are_answers_like_others() {
    let server =
        Server::start("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n").await;
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let answer =
        stage.say(format!("GET http://{to}/ HTTP/1.1\r\nHost: x\r\n{}Connection: close\r\n\r\n", stage.pass())).await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    assert_eq!(server.heard().await.len(), 1);
}

/// The broker reads chunks, and says so anew: two readers cannot disagree on where the request ends.
#[tokio::test]
async fn a_request_with_two_lengths_hides_no_other() {
    let server = Server::start(HELLO).await;
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let request = format!(
        "POST http://{to}/ HTTP/1.1\r\nHost: x\r\n{}Content-Length: 64\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         0\r\n\r\nGET http://{to}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        stage.pass()
    );
    let answer = stage.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    let heard = server.heard().await.join("").to_lowercase();
    assert!(!heard.contains("smuggled"), "{heard}");
    assert!(!heard.contains("content-length: 64") || !heard.contains("chunked"), "{heard}");
    for both in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +4\r\n",
    ] {
        let request = format!("POST http://{to}/ HTTP/1.1\r\nHost: x\r\n{}{both}\r\nbodybody", stage.pass());
        let answer = stage.say(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{both}: {answer}");
    }
}

#[tokio::test]
async fn other_schemes_and_hosts_that_are_down_are_told_apart() {
    let free = drydock_testing::free_port();
    let stage = Setting::new().with_domain("down.example", free).open();
    let ask = async |url: String| stage.say(format!("GET {url} HTTP/1.1\r\nHost: x\r\n{}\r\n", stage.pass())).await;
    assert!(ask(format!("https://down.example:{free}/")).await.starts_with("HTTP/1.1 400 "));
    assert!(ask(format!("http://down.example:{free}/")).await.starts_with("HTTP/1.1 502 "));
    assert!(ask("http://elsewhere.example/".to_owned()).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(
        (stage.metric("requests_total", "unreachable"), stage.metric("requests_total", "malformed")),
        (1.0, 1.0)
    );
}
