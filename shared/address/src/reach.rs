//! Which addresses are global unicast: the ranges of IANA's special-purpose registries (RFC 6890 and its successors) that are not. The
//! standard library has this for nightly compilers only (`IpAddr::is_global`), and no crate we know counts translated addresses.

use std::{net::IpAddr, sync::LazyLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Whom an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anybody on the Internet finds one host there.
    Global,
    /// A network's own, or the host's: to be reached where an operator says so.
    Private,
    /// Nobody's to name: link-local, multicast, translated and reserved ones, and what clouds tell machines about themselves.
    Never,
}

/// What is not to be reached, of all of IPv4.
const NOT_GLOBAL_V4: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    // Link-local; what clouds tell machines about themselves is here.
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Multicast, reserved, broadcast.
    "224.0.0.0/3",
    // Global by its number, and yet the host's own service in one cloud.
    "168.63.129.16/32",
    // The same in another; inside 100.64.0.0/10, and named so that nobody takes that out.
    "100.100.100.200/32",
];

/// All of IPv6 that is global unicast: no mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`) address, loopback, ULA, link-local, multicast.
const GLOBAL_V6: &str = "2000::/3";

/// What is not to be reached, of that.
const NOT_GLOBAL_V6: [&str; 6] = [
    // Protocol assignments, Teredo and ORCHID among them.
    "2001::/23",
    "2001:db8::/32",
    // 6to4: holds an IPv4 address.
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "3ffe::/16",
];

/// What an operator may allow, of that.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// What clouds tell machines about themselves, of that.
const METADATA: [&str; 4] = ["100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128"];

struct Ranges {
    private: Vec<IpNet>,
    metadata: Vec<IpNet>,
    not_v4: Vec<Ipv4Net>,
    v6: Ipv6Net,
    not_v6: Vec<Ipv6Net>,
}

static RANGES: LazyLock<Ranges> = LazyLock::new(|| Ranges {
    private: PRIVATE.iter().map(|text| text.parse().expect("a constant")).collect(),
    metadata: METADATA.iter().map(|text| text.parse().expect("a constant")).collect(),
    not_v4: NOT_GLOBAL_V4.iter().map(|text| text.parse().expect("a constant")).collect(),
    v6: GLOBAL_V6.parse().expect("a constant"),
    not_v6: NOT_GLOBAL_V6.iter().map(|text| text.parse().expect("a constant")).collect(),
});

/// Whether anybody on the Internet has this address.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !RANGES.not_v4.iter().any(|range| range.contains(&v4)),
        IpAddr::V6(v6) => RANGES.v6.contains(&v6) && !RANGES.not_v6.iter().any(|range| range.contains(&v6)),
    }
}

/// Whom an address belongs to.
pub fn reach(address: IpAddr) -> Reach {
    let is_in = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    match is_global(address) {
        true => Reach::Global,
        false if is_in(&RANGES.private) && !is_in(&RANGES.metadata) => Reach::Private,
        false => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 \
        172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7 \
        203.0.113.9 168.63.129.16 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 \
        ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 \
        fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 5f00::1";

    #[test]
    fn only_global_unicast_addresses_pass() {
        for text in REFUSED.split_whitespace() {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:4860:4860::8888",
        ] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_network_s_own_addresses_are_told_from_those_that_nobody_may_name() {
        for text in "10.0.0.1 100.64.0.1 127.0.0.1 172.31.255.255 192.168.1.1 ::1 fd00::1 fd00:ec3::1 fd20:ce::253"
            .split_whitespace()
        {
            assert_eq!(reach(text.parse().unwrap()), Reach::Private, "{text}");
        }
        let never = "0.0.0.0 169.254.169.254 168.63.129.16 100.100.100.200 224.0.0.1 255.255.255.255 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 \
            64:ff9b::a00:1 2002:a00:1:: fe80::1 ff02::1 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe";
        for text in never.split_whitespace() {
            assert_eq!(reach(text.parse().unwrap()), Reach::Never, "{text}");
        }
        assert_eq!(reach("1.1.1.1".parse().unwrap()), Reach::Global);
    }
}
