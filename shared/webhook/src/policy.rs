//! `Policy`: which hosts and addresses may be sent to.

use std::{net::IpAddr, str::FromStr};

use drydock_address::is_global;
use ipnet::IpNet;

/// Hosts and ranges of addresses that are allowed although they are private: `10.0.0.0/8, 127.0.0.1, receiver.internal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<String>,
    ranges: Vec<IpNet>,
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut allowed = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Ok(range) = item.parse::<IpNet>() {
                allowed.ranges.push(range.trunc());
            } else if let Ok(address) = item.parse::<IpAddr>() {
                allowed.ranges.push(address.into());
            } else if is_host(item) {
                allowed.hosts.push(item.trim_end_matches('.').to_ascii_lowercase());
            } else {
                return Err(format!("'{item}' is no host name, address or range like 10.0.0.0/8"));
            }
        }
        Ok(allowed)
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let named = text.trim_end_matches('.');
    // What is all digits and points is a slip in an address.
    named.split('.').all(label) && named.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// How a message would travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// To allowed private places only.
    Http,
    /// Anywhere else.
    Https,
}

/// The rules, of one process.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allowed: Allowed,
}

impl Policy {
    /// Global unicast by HTTPS, and `allowed` besides.
    pub const fn new(allowed: Allowed) -> Self {
        Self { allowed }
    }

    /// Whether anything private is allowed at all.
    pub(crate) const fn allows_some(&self) -> bool {
        !self.allowed.hosts.is_empty() || !self.allowed.ranges.is_empty()
    }

    /// Whether a host may have whatever address it has.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.allowed.hosts.contains(&host)
    }

    /// Whether a message may go to this address.
    pub(crate) fn allows(&self, scheme: Scheme, address: IpAddr) -> bool {
        self.allowed.ranges.iter().any(|range| range.contains(&address))
            || (scheme == Scheme::Https && is_global(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_hosts_addresses_and_ranges() {
        let allowed: Allowed = " 127.0.0.1, 10.1.2.3/8,fd00::/8 , Receiver.Internal. ".parse().unwrap();
        let policy = Policy::new(allowed);
        for (address, http) in
            [("127.0.0.1", true), ("127.0.0.2", false), ("10.200.0.1", true), ("fd12::1", true), ("8.8.8.8", false)]
        {
            let address = address.parse().unwrap();
            assert_eq!(policy.allows(Scheme::Http, address), http, "{address}");
        }
        assert!(policy.allows(Scheme::Https, "8.8.8.8".parse().unwrap()));
        assert!(policy.allows_host("receiver.internal") && policy.allows_host("RECEIVER.internal."));
        assert!(!policy.allows_host("internal") && !policy.allows_host("x.receiver.internal"));
        assert_eq!("".parse::<Allowed>().unwrap(), Allowed::default());
        for text in ["10.0.0.0/33", "10.0.0", "http://a", "a b", "a..b", "*.internal"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
