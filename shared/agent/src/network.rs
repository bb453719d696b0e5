//! `network` of an agent's or a session server's entry: whom its programs may talk to.

use drydock_jail::Network;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged, expecting = "network: write \"closed\", \"open\" or a list of TCP ports like [443]")]
enum Written {
    Word(Word),
    Ports(Vec<u16>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Closed,
    Open,
}

/// Reads it.
pub(super) fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
    Ok(match Written::deserialize(deserializer)? {
        Written::Word(Word::Closed) => Network::Closed,
        Written::Word(Word::Open) => Network::Open,
        Written::Ports(connect) => Network::Ports { connect, listen: Vec::new() },
    })
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
            network: Network,
        }
        let entry = |text: &str| toml::from_str::<Entry>(text).map(|entry| entry.network);
        assert_eq!(entry("network = 'closed'").unwrap(), Network::Closed);
        assert_eq!(entry("network = 'open'").unwrap(), Network::Open);
        assert_eq!(entry("network = [443]").unwrap(), to(443));
        for wrong in ["network = 'lan'", "network = 443", "network = [70000]"] {
            assert!(entry(wrong).unwrap_err().to_string().contains("list of TCP ports"), "{wrong}");
        }
    }
}
