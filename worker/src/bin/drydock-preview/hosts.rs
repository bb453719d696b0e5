//! By which names the server may be asked for. A page of elsewhere whose name was made to lead here (DNS rebinding) asks by that name.

use std::{collections::BTreeSet, net::IpAddr};

use axum::http::{HeaderMap, Uri, header, uri::Authority};

/// Names that are taken beside addresses.
pub(crate) struct Hosts(BTreeSet<String>);

impl Hosts {
    /// These, and `localhost`.
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|name| plain(name)).chain(["localhost".to_owned()]).collect())
    }

    /// Whether the request asks by a name that is taken. One that names no host comes from no browser.
    pub(crate) fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        named.chain(uri.authority().map(Authority::as_str)).all(|host| self.takes(host))
    }

    fn takes(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = plain(authority.host());
        name.parse::<IpAddr>().is_ok() || self.0.contains(&name)
    }
}

/// Lower case, without the brackets of an IPv6 address and the dot of a full name.
fn plain(name: &str) -> String {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    inner.strip_suffix('.').unwrap_or(inner).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_what_was_named_are_taken() {
        let hosts = Hosts::new(&["Worker-1.example".to_owned()]);
        for host in
            ["10.0.0.1:80", "[::1]:80", "[fe80::1]", "LOCALHOST:8080", "worker-1.example.:80", "worker-1.example"]
        {
            assert!(hosts.takes(host), "{host}");
        }
        for host in ["", "evil.example", "worker-1.example.evil:80", "10.0.0.1.evil", "localhost.evil", "a b", "1"] {
            assert!(!hosts.takes(host), "{host}");
        }
    }

    #[test]
    fn every_name_of_a_request_counts() {
        let hosts = Hosts::new(&[]);
        let allowed = |uri: &str, names: &[&str]| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(header::HOST, name.parse().unwrap());
            }
            hosts.allow(&uri.parse().unwrap(), &headers)
        };
        assert!(allowed("/", &[]) && allowed("/", &["localhost"]) && allowed("http://[::1]/", &["localhost"]));
        assert!(!allowed("/", &["localhost", "evil"]) && !allowed("http://evil/", &["localhost"]));
    }
}
