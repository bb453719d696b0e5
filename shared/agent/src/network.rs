//! `network` of an agent's or a session server's entry: whom its programs may talk to.

use std::sync::Arc;

use drydock_egress::{Broker, Domain, Rules};
use drydock_jail::Network;
use serde::{Deserialize, de::Error as _};

/// `network` of an agent's entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// By itself.
    Direct(Network),
    /// These hosts, by a broker.
    Domains(Vec<Domain>),
}

/// Whom an agent may talk to, and how.
#[derive(Debug)]
pub(super) enum Reach {
    /// By itself.
    Direct(Network),
    /// Whom its broker lets through.
    Brokered(Arc<Rules>),
}

impl Default for Declared {
    fn default() -> Self {
        Self::Direct(Network::Closed)
    }
}

impl Reach {
    /// What its walls leave open: of an agent with a broker the way to that, or nothing where there is none.
    pub(super) fn walls(&self, broker: Option<&Broker>) -> Network {
        match (self, broker) {
            (Self::Direct(network), _) => network.clone(),
            (Self::Brokered(_), Some(broker)) => Network::Broker { port: broker.port() },
            (Self::Brokered(_), None) => Network::Closed,
        }
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "network: write \"closed\", \"open\", a list of TCP ports like [443], or { domains = [\"registry.npmjs.org\"] }"
)]
enum Written {
    Word(Word),
    Ports(Vec<u16>),
    Domains(Domains),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Closed,
    Open,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domains {
    domains: Vec<WrittenDomain>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenDomain {
    Name(String),
    Marked(Marked),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    domain: String,
    private: bool,
}

/// Reads it of an agent.
pub(super) fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Declared, D::Error> {
    let domain = |written: WrittenDomain| match written {
        WrittenDomain::Name(name) => name.parse::<Domain>(),
        WrittenDomain::Marked(Marked { domain, private: false }) => domain.parse(),
        WrittenDomain::Marked(Marked { domain, private: true }) => domain.parse().map(Domain::private),
    };
    Ok(match Written::deserialize(deserializer)? {
        Written::Word(Word::Closed) => Declared::Direct(Network::Closed),
        Written::Word(Word::Open) => Declared::Direct(Network::Open),
        Written::Ports(connect) => Declared::Direct(Network::Ports { connect, listen: Vec::new() }),
        Written::Domains(Domains { domains }) => {
            let domains: Result<_, _> = domains.into_iter().map(domain).collect();
            Declared::Domains(domains.map_err(|why| D::Error::custom(format!("network: {why}")))?)
        }
    })
}

/// Reads it of a session's server, which has no broker.
pub(super) fn read_direct<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
    match read(deserializer)? {
        Declared::Direct(network) => Ok(network),
        Declared::Domains(_) => Err(D::Error::custom(
            "network: domains are for agents; write \"closed\", \"open\" or a list of TCP ports like [443] for a session's server",
        )),
    }
}

/// The port of an endpoint that was checked to be HTTP: nothing else is opened for who speaks to it.
pub(super) fn endpoint(url: &str) -> Network {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let written = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let port = written.unwrap_or(if scheme == "http" { 80 } else { 443 });
    Network::Ports { connect: vec![port], listen: Vec::new() }
}

/// The same with the port that a server listens on, or any that the system gives.
pub(super) fn serving(network: &Network, port: Option<u16>) -> Network {
    let listen = vec![port.unwrap_or(0)];
    match network {
        Network::Open => Network::Open,
        Network::Closed => Network::Ports { connect: Vec::new(), listen },
        Network::Ports { connect, .. } => Network::Ports { connect: connect.clone(), listen },
        Network::Broker { port } => Network::Ports { connect: vec![*port], listen },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> Network {
        Network::Ports { connect: vec![port], listen: Vec::new() }
    }

    #[test]
    fn an_endpoint_opens_its_port_alone() {
        for (url, port) in [
            ("https://api.openai.com/v1", 443),
            ("http://models", 80),
            ("http://127.0.0.1:8000/v1", 8000),
            ("https://[::1]:8443/v1", 8443),
            ("https://[fd00::1]/v1", 443),
        ] {
            assert_eq!(endpoint(url), to(port), "{url}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        #[derive(Debug, Deserialize)]
        struct Entry {
            #[serde(deserialize_with = "read")]
            network: Declared,
        }
        let entry = |text: &str| toml::from_str::<Entry>(text).map(|entry| entry.network);
        let direct = Declared::Direct;
        assert_eq!(entry("network = 'closed'").unwrap(), direct(Network::Closed));
        assert_eq!(entry("network = 'open'").unwrap(), direct(Network::Open));
        assert_eq!(entry("network = [443]").unwrap(), direct(to(443)));
        for wrong in ["network = 'lan'", "network = 443", "network = [70000]"] {
            assert!(entry(wrong).unwrap_err().to_string().contains("list of TCP ports"), "{wrong}");
        }
    }
}
