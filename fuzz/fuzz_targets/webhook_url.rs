//! URLs of webhooks: by the default rules none leads to a private address, in the clear, or with a password in it.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use drydock_webhook::{Policy, Target, target::MAX_URL};
use libfuzzer_sys::fuzz_target;

fn is_plain_v4(address: Ipv4Addr) -> bool {
    let inside = address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified();
    !inside && !address.is_broadcast() && !address.is_multicast() && !address.is_documentation()
}

/// Written anew, not as the product has it.
fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_plain_v4(address),
        IpAddr::V6(address) => {
            let inside = address.is_loopback() || address.is_unspecified() || address.is_multicast();
            !inside
                && !address.is_unique_local()
                && !address.is_unicast_link_local()
                && address.to_ipv4().is_none_or(is_plain_v4)
        }
    }
}

fuzz_target!(|text: &str| {
    let Ok(target) = Target::parse(text, &Policy::default()) else { return };
    let host = target.host();
    assert!(!host.is_empty() && text.chars().count() <= MAX_URL && !text.contains('#'));
    assert!(text.trim_start_matches(|c: char| c <= ' ').get(..1).is_some_and(|first| first.eq_ignore_ascii_case("h")));
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        assert!(is_outside(address), "{host}");
    }
    assert_eq!(format!("{target:?}"), format!("Target {{ host: {host:?}, .. }}"), "more than the host is shown");
});
