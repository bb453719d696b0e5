//! Which addresses are global unicast: the ranges of IANA's special-purpose registries (RFC 6890 and its successors) that are not. The
//! standard library has this for nightly compilers only (`IpAddr::is_global`), and no crate we know counts translated addresses.

use std::{net::IpAddr, sync::LazyLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

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

struct Ranges {
    not_v4: Vec<Ipv4Net>,
    v6: Ipv6Net,
    not_v6: Vec<Ipv6Net>,
}

static RANGES: LazyLock<Ranges> = LazyLock::new(|| Ranges {
    not_v4: NOT_GLOBAL_V4.iter().map(|text| text.parse().expect("a constant")).collect(),
    v6: GLOBAL_V6.parse().expect("a constant"),
    not_v6: NOT_GLOBAL_V6.iter().map(|text| text.parse().expect("a constant")).collect(),
});

/// Whether anybody on the Internet has this address.
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !RANGES.not_v4.iter().any(|range| range.contains(&v4)),
        IpAddr::V6(v6) => RANGES.v6.contains(&v6) && !RANGES.not_v6.iter().any(|range| range.contains(&v6)),
    }
}

/// Whether one of `ranges` has it.
pub(crate) fn is_in(ranges: &[IpNet], address: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&address))
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
}
