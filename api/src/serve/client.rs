//! `Client`: who is at the other end. Behind a proxy that is trusted, the one it says it speaks for; else whoever has the connection,
//! whatever they say.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use crate::config::Networks;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Proxies that are believed to stand behind one another.
const MAX_HOPS: usize = 16;

/// The client of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) ip: IpAddr,
    /// Whether a trusted proxy took the request by TLS.
    pub(crate) https: bool,
}

impl Client {
    /// `X-Forwarded-For` is read from the right, where the nearest proxy has written, as long as whoever wrote is trusted. What is no
    /// address ends it: from there on somebody else may have written.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> Self {
        if !proxies.has(peer) {
            warn_of_proxy(peer, headers);
            return Self { ip: peer, https: false };
        }
        let mut ip = peer;
        let fields = headers.get_all(FORWARDED_FOR).iter().rev().map(|field| field.to_str().unwrap_or_default());
        for hop in fields.flat_map(|field| field.rsplit(',')).take(MAX_HOPS) {
            let Some(before) = address(hop.trim()) else { break };
            ip = before;
            if !proxies.has(ip) {
                break;
            }
        }
        let proto = headers.get_all(FORWARDED_PROTO).iter().next_back().and_then(|value| value.to_str().ok());
        let nearest = proto.and_then(|value| value.rsplit(',').next()).unwrap_or_default().trim();
        Self { ip, https: nearest.eq_ignore_ascii_case("https") }
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bare).or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

/// Whom an address is counted for: a host of IPv6 has any address of its /64 (RFC 6177).
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

/// Once a process: an upgrade that leaves its proxy unnamed shows here first.
fn warn_of_proxy(peer: IpAddr, headers: &HeaderMap) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    if headers.contains_key(FORWARDED_FOR) {
        TOLD.call_once(|| {
            tracing::warn!(
                %peer,
                "X-Forwarded-For of a peer that is not trusted is ignored: if it is your proxy, name it in DRYDOCK_API_TRUSTED_PROXIES, \
                 or all its clients share one address's limits"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peer, fields of `X-Forwarded-For`, client. `10.0.0.0/8` and `2001:db8::/32` are trusted.
    const CASES: [(&str, &[&str], &str); 16] = [
        ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7, 10.0.0.2,10.0.0.3"], "198.51.100.7"),
        ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["198.51.100.7, "], "10.0.0.1"),
        ("10.0.0.1", &["127.0.0.1, 198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", &["[2001:db9::1]:4711"], "2001:db9::1"),
        ("10.0.0.1", &["[2001:db9::1]"], "2001:db9::1"),
        ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", &["198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
        ("2001:db8::1", &["2001:db9::1, 2001:db8::2"], "2001:db9::1"),
        ("10.0.0.1", &["198.51.100.7; DROP TABLE"], "10.0.0.1"),
    ];

    #[test]
    fn only_what_a_trusted_proxy_wrote_is_believed() {
        let proxies: Networks = "10.0.0.0/8, 2001:db8::/32".parse().unwrap();
        for (peer, fields, expected) in CASES {
            let headers = fields.iter().map(|field| (FORWARDED_FOR, field.parse().unwrap())).collect();
            let client = Client::of(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(client.ip.to_string(), expected, "{peer} {fields:?}");
        }
        let long = vec!["10.0.0.2"; 100].join(",");
        let headers = HeaderMap::from_iter([(FORWARDED_FOR, format!("198.51.100.7,{long}").parse().unwrap())]);
        let client = Client::of("10.0.0.1".parse().unwrap(), &headers, &proxies);
        assert_eq!(client.ip.to_string(), "10.0.0.2", "nobody has so many proxies");
    }

    #[test]
    fn the_nearest_proxy_says_whether_it_was_tls() {
        let proxies: Networks = "10.0.0.1".parse().unwrap();
        for (peer, proto, https) in [
            ("10.0.0.1", "https", true),
            ("10.0.0.1", "http, HTTPS", true),
            ("10.0.0.1", "https, http", false),
            ("10.0.0.2", "https", false),
        ] {
            let headers = HeaderMap::from_iter([(FORWARDED_PROTO, proto.parse().unwrap())]);
            assert_eq!(Client::of(peer.parse().unwrap(), &headers, &proxies).https, https, "{peer} {proto}");
        }
    }

    #[test]
    fn a_host_is_its_network() {
        for (ip, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(ip.parse().unwrap()).to_string(), expected);
        }
    }
}
