//! Other jobs of the node, which reach the port and have no credential.

use crate::harness::{Server, Setting};

#[tokio::test]
async fn who_has_no_credential_is_let_nowhere() {
    let server = Server::start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let other = Setting::new().open();
    let stage = Setting::new().with_domain("allowed.example", server.port).open();
    let to = format!("allowed.example:{}", server.port);
    let wrong = [
        String::new(),
        other.pass(),
        "Proxy-Authorization: Basic\r\n".to_owned(),
        "Proxy-Authorization: Basic !!!\r\n".to_owned(),
        format!("Proxy-Authorization: Bearer {}\r\n", stage.broker.placeholder()),
        format!("{}{}", stage.pass(), other.pass()),
        stage.bearer(),
    ];
    for header in &wrong {
        for request in [
            format!("CONNECT {to} HTTP/1.1\r\n"),
            format!("GET http://{to}/ HTTP/1.1\r\n"),
            "GET /x HTTP/1.1\r\n".to_owned(),
        ] {
            let answer = stage.say(format!("{request}Host: {to}\r\n{header}\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 407 ") && answer.contains("proxy-authenticate: Basic"),
                "{request}{header}: {answer}"
            );
        }
    }
    assert_eq!(server.heard().await, Vec::<String>::new());
    assert_eq!(stage.metric("requests_total", "credential"), 21.0);
    let said = stage.close().await;
    assert_eq!(said.len(), 11, "{said:?}");
    assert_eq!(said[0], "[egress] a request: refused, without the attempt's credential");
    assert_eq!(said[10], "[egress] 11 more requests without the attempt's credential");
}

/// Anybody who finds the port can say what is no request, and what the attempt's own requests came to is told all the same.
#[tokio::test]
async fn what_is_no_request_takes_no_lines_of_the_attempt_s() {
    let stage = Setting::new().open();
    for _ in 0..1010 {
        let answer = stage.say("no request\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let own = stage.say(format!("GET http://a.example/ HTTP/1.1\r\nHost: x\r\n{}\r\n", stage.pass())).await;
    assert!(own.starts_with("HTTP/1.1 403 "), "{own}");
    assert_eq!(stage.metric("requests_total", "malformed"), 1010.0);
    let said = stage.close().await;
    assert_eq!(said.len(), 12, "{:?}", &said[said.len() - 3..]);
    assert_eq!(said[0], "[egress] a request: refused, not a request that can be passed on: not HTTP/1.1");
    assert_eq!(said[10], "[egress] GET http://a.example/: refused, not among the agent's domains");
    assert_eq!(said[11], "[egress] 1000 more requests without the attempt's credential");
}
