//! `Domain`: a name, or all names below one, and a port that an agent may reach there. `Asked`: what a request asks for.
//!
//! Both are read here and nowhere else, and compared as the same ASCII text. An address is no name in any of its spellings, because a rule
//! for names would say nothing of it.

use std::{fmt, str::FromStr};

use url::Host;

/// The port where none is written.
const HTTPS: u16 = 443;
/// Longest name, of DNS.
const MAX_NAME: usize = 253;

/// One entry of an agent's list: `registry.npmjs.org`, `*.crates.io`, `git.example.com:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// In ASCII and lower case, without `*.`.
    name: String,
    /// Whether it is every name below `name`, and not that itself.
    is_suffix: bool,
    port: u16,
    /// Whether it may lead to addresses of a private network.
    private: bool,
}

/// Why a text is no such entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It is an address.
    #[error("'{0}' is an address: write the host's name")]
    Address(String),
    /// Its port is none.
    #[error("'{0}' has no port after ':': write one of 1 to 65535, or none for 443")]
    Port(String),
    /// It stands for too many names.
    #[error("'{0}' would open a whole top level domain: write two labels at least, like *.example.org")]
    Wide(String),
    /// Anything else.
    #[error("'{0}' is no host name: write one like example.org, *.example.org or example.org:8443")]
    Name(String),
}

impl Domain {
    /// The same for addresses of a private network as well.
    #[must_use]
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Whether it may lead to addresses of a private network.
    pub(crate) const fn is_private(&self) -> bool {
        self.private
    }

    /// Whether it is this very name, whatever the port.
    pub fn names(&self, name: &str) -> bool {
        !self.is_suffix && self.name == name
    }

    pub(crate) fn covers(&self, asked: &Asked) -> bool {
        let name = match self.is_suffix {
            false => asked.name == self.name,
            true => asked.name.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        };
        name && asked.port == self.port
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An address of IPv6 has colons of its own.
        if text.starts_with('[') || text.matches(':').count() > 1 {
            return Err(DomainError::Address(text.to_owned()));
        }
        let (host, port) = match text.split_once(':') {
            None => (text, HTTPS),
            Some((host, port)) => (host, self::port(port).ok_or_else(|| DomainError::Port(text.to_owned()))?),
        };
        let (name, is_suffix) = host.strip_prefix("*.").map_or((host, false), |name| (name, true));
        let name = match name.is_ascii() && !name.bytes().all(may_be_asked) {
            true => Err(DomainError::Name(text.to_owned())),
            false => self::name(name, text),
        }?;
        if is_suffix && !name.contains('.') {
            return Err(DomainError::Wide(text.to_owned()));
        }
        Ok(Self { name, is_suffix, port, private: false })
    }
}

/// As it is written in an entry.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_suffix { "*." } else { "" };
        write!(f, "{star}{}:{}", self.name, self.port)
    }
}

/// A host and a port as a request names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    name: String,
    port: u16,
}

impl Asked {
    /// Reads the authority of a request; `port` where it has none.
    pub(crate) fn parse(authority: &str, port: Option<u16>) -> Option<Self> {
        let (host, port) = match authority.split_once(':') {
            None => (authority, port?),
            Some((host, port)) => (host, self::port(port)?),
        };
        // No escapes, and no letters that some other reader would take for a dot or a digit.
        let plain = host.bytes().all(may_be_asked);
        let name = name(host, host).ok().filter(|_| plain)?;
        Some(Self { name, port })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

const fn may_be_asked(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// The name in ASCII and lower case; `text` is what the error shows.
fn name(host: &str, text: &str) -> Result<String, DomainError> {
    let wrong = || DomainError::Name(text.to_owned());
    let host = match Host::parse(host).map_err(|_| wrong())? {
        Host::Domain(name) => name,
        Host::Ipv4(_) | Host::Ipv6(_) => return Err(DomainError::Address(text.to_owned())),
    };
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(may_be_asked);
    // The root's dot at the end would make another text of the same name.
    if host.len() > MAX_NAME || !host.split('.').all(label) {
        return Err(wrong());
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(domain: &str, authority: &str) -> bool {
        let domain: Domain = domain.parse().unwrap();
        Asked::parse(authority, None).is_some_and(|asked| domain.covers(&asked))
    }

    #[test]
    fn a_name_is_reached_at_its_port_alone() {
        for (domain, authority, is_covered) in [
            ("registry.npmjs.org", "registry.npmjs.org:443", true),
            ("registry.npmjs.org", "REGISTRY.npmjs.ORG:443", true),
            ("registry.npmjs.org", "registry.npmjs.org:80", false),
            ("registry.npmjs.org", "registry.npmjs.org:22", false),
            ("registry.npmjs.org", "x.registry.npmjs.org:443", false),
            ("registry.npmjs.org", "npmjs.org:443", false),
            ("registry.npmjs.org", "registry.npmjs.org.evil.example:443", false),
            ("git.example.com:8443", "git.example.com:8443", true),
            ("git.example.com:8443", "git.example.com:443", false),
            ("*.crates.io", "static.crates.io:443", true),
            ("*.crates.io", "a.b.crates.io:443", true),
            ("*.crates.io", "crates.io:443", false),
            ("*.crates.io", ".crates.io:443", false),
            ("*.crates.io", "evilcrates.io:443", false),
            ("*.crates.io", "crates.io.evil.example:443", false),
            ("bücher.example", "xn--bcher-kva.example:443", true),
            ("BÜCHER.example", "xn--bcher-kva.example:443", true),
            ("*.bücher.example", "a.xn--bcher-kva.example:443", true),
        ] {
            assert_eq!(covers(domain, authority), is_covered, "{domain} {authority}");
        }
    }

    #[test]
    fn what_is_no_name_is_asked_in_vain() {
        let hostile = [
            "",
            ":443",
            "a.example",
            "a.example:",
            "a.example:0",
            "a.example:65536",
            "a.example:+443",
            "a.example:443:443",
            "a.example.:443",
            "a..example:443",
            ".a.example:443",
            "a.example..:443",
            "user@a.example:443",
            "a%2eexample:443",
            "a.example%00.evil.example:443",
            "a.example\0:443",
            "a.example\n:443",
            "a example:443",
            "a\u{3002}example:443",
            "\u{ff41}.example:443",
            "a/b.example:443",
            "a\\b.example:443",
            "127.0.0.1:443",
            "127.1:443",
            "2130706433:443",
            "017700000001:443",
            "0x7f.0.0.1:443",
            "0x7f000001:443",
            "0X7F.1:443",
            "127.0.0.0x1:443",
            "0:443",
            "1.1.1.1:443",
            "999.1.1.1:443",
            "1.1.1.1.:443",
            "[::1]:443",
            "[::ffff:127.0.0.1]:443",
            "[64:ff9b::7f00:1]:443",
            "::1:443",
            "a.example.1:443",
            "*:443",
            "*.example:443",
            "xn--a:443",
        ];
        for authority in hostile {
            assert_eq!(Asked::parse(authority, None), None, "{authority:?}");
        }
        let long = format!("{}.example:443", "a".repeat(64));
        assert_eq!(Asked::parse(&long, None), None);
        assert_eq!(Asked::parse(&format!("{}example:443", "a.".repeat(130)), None), None);
        assert_eq!(Asked::parse("a.example", Some(80)).map(|asked| asked.to_string()).as_deref(), Some("a.example:80"));
    }

    #[test]
    fn entries_that_are_no_names_are_told_why() {
        for (text, part) in [
            ("", "is no host name"),
            ("https://a.example", "no port after ':'"),
            ("a.example/x", "is no host name"),
            ("a.example.", "is no host name"),
            ("a..example", "is no host name"),
            ("a%2eexample", "is no host name"),
            ("a*.example", "is no host name"),
            ("*", "is no host name"),
            ("*.", "is no host name"),
            ("*.*.example.org", "is no host name"),
            ("a\0.example", "is no host name"),
            ("a b.example", "is no host name"),
            ("u@a.example", "is no host name"),
            ("*.org", "whole top level domain"),
            ("a.example:", "no port"),
            ("a.example:0", "no port"),
            ("a.example:http", "no port"),
            ("127.0.0.1", "is an address"),
            ("127.1", "is an address"),
            ("0x7f.1", "is an address"),
            ("2130706433", "is an address"),
            ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", "is an address"),
            ("*.0.0.1", "is an address"),
            ("[::1]", "is an address"),
            ("::1", "is an address"),
            ("[::ffff:7f00:1]:443", "is an address"),
        ] {
            let error = text.parse::<Domain>().map(|domain| domain.to_string()).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
