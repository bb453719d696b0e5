//! `Endpoint`: a server whose key the broker holds.

use std::str::FromStr;

use hyper::{
    Uri,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
    http::uri::PathAndQuery,
};
use percent_encoding::percent_decode;
use secrecy::{ExposeSecret as _, SecretSlice};
use url::{Host, Url};

/// How often a path may be escaped.
const MAX_ESCAPES: usize = 3;

/// The header that holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// This one, the key alone.
    Named(HeaderName),
}

/// Where a secret is good for. What its `Debug` shows of secrets is nothing.
#[derive(Debug)]
pub struct Endpoint {
    /// The first segment of its path at the broker.
    name: String,
    url: Url,
    header: KeyHeader,
    /// None where the worker has none: then nobody is let through.
    key: Option<SecretSlice<u8>>,
    more: Vec<(HeaderName, SecretSlice<u8>)>,
}

/// Why there can be no such endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Its URL is none of a server.
    #[error("url: use http:// or https:// with host and path, without user, password, query or fragment")]
    Url,
    /// Its header is none.
    #[error("header: '{0}' is no name of a header")]
    Header(String),
    /// The secret's value does not fit into a header.
    #[error("the value cannot stand in a header: it should be one line of ASCII")]
    Value,
}

impl FromStr for KeyHeader {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: HeaderName = text.parse().map_err(|_| EndpointError::Header(text.to_owned()))?;
        Ok(if name == AUTHORIZATION { Self::Bearer } else { Self::Named(name) })
    }
}

impl KeyHeader {
    pub(crate) fn name(&self) -> HeaderName {
        match self {
            Self::Bearer => AUTHORIZATION,
            Self::Named(name) => name.clone(),
        }
    }

    /// The key in a header's value.
    pub(crate) fn key<'a>(&self, value: &'a HeaderValue) -> Option<&'a [u8]> {
        const BEARER: &[u8] = b"bearer ";
        let bytes = value.as_bytes();
        match self {
            Self::Named(_) => Some(bytes),
            Self::Bearer => {
                let (scheme, key) = bytes.split_at_checked(BEARER.len())?;
                scheme.eq_ignore_ascii_case(BEARER).then_some(key)
            }
        }
    }
}

impl Endpoint {
    /// The endpoint `name`, a word of letters, digits and `_`, at `url`.
    ///
    /// # Errors
    /// The URL or the key is none.
    pub fn new(name: &str, url: &str, header: KeyHeader, key: Option<SecretSlice<u8>>) -> Result<Self, EndpointError> {
        let url = check_url(url)?;
        key.as_ref().map(value).transpose()?;
        Ok(Self { name: name.to_owned(), url, header, key, more: Vec::new() })
    }

    /// The same with one more header of the worker's.
    ///
    /// # Errors
    /// The header has no such name or value.
    pub fn with(mut self, header: &str, secret: SecretSlice<u8>) -> Result<Self, EndpointError> {
        let name = header.parse().map_err(|_| EndpointError::Header(header.to_owned()))?;
        value(&secret)?;
        self.more.push((name, secret));
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn header(&self) -> &KeyHeader {
        &self.header
    }

    /// The headers that the agent does not know; none where the worker has no key.
    pub(crate) fn secrets(&self) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let key = self.key.as_ref()?.expose_secret();
        let key = match self.header {
            KeyHeader::Bearer => sensitive(&[b"Bearer ", key].concat()),
            KeyHeader::Named(_) => sensitive(key),
        };
        let more = self.more.iter().map(|(name, secret)| Some((name.clone(), sensitive(secret.expose_secret())?)));
        [key.map(|key| (self.header.name(), key))].into_iter().chain(more).collect()
    }

    /// Whether one of its secrets stands in a text.
    pub(crate) fn is_told_by(&self, text: &[u8]) -> bool {
        let more = self.more.iter().map(|(_, secret)| secret);
        let mut secrets =
            self.key.iter().chain(more).map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty());
        secrets.any(|secret| text.windows(secret.len()).any(|part| part == secret))
    }

    pub(crate) fn host(&self) -> Host<&str> {
        self.url.host().unwrap_or(Host::Domain(""))
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// `host` or `host:port`, as it stands in a `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = self.host();
        self.url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
    }

    /// Where it is, for people.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.authority())
    }

    /// What is asked of the server for a path at the broker; none where the path is not this endpoint's or climbs out of its own.
    pub(crate) fn target(&self, asked: &Uri) -> Option<Uri> {
        let rest = asked.path().strip_prefix('/')?.strip_prefix(&self.name)?;
        if !(rest.is_empty() || rest.starts_with('/')) || climbs(rest) {
            return None;
        }
        let query = asked.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{rest}", self.url.path().trim_end_matches('/'));
        let path = if path.is_empty() { "/" } else { &path };
        PathAndQuery::try_from(format!("{path}{query}")).ok().map(Uri::from)
    }
}

/// Whether some server could read a path as one that leads upwards or elsewhere: escaped however often, with parameters of a segment
/// (`..;x`), with the other slash, cut at a NUL, or as one that begins with a host.
fn climbs(path: &str) -> bool {
    let Some(plain) = decoded(path) else { return true };
    let is_upwards = |segment: &[u8]| {
        let name = segment.split(|&byte| byte == b';').next();
        matches!(name, Some(b"." | b".."))
    };
    plain.starts_with(b"//")
        || plain.iter().any(|byte| matches!(byte, b'\\' | 0))
        || plain.split(|&byte| byte == b'/').any(is_upwards)
}

/// A path without escapes, those of escapes included; none where they are too deep for an honest one.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut plain = path.as_bytes().to_vec();
    for _ in 0..=MAX_ESCAPES {
        let next: Vec<u8> = percent_decode(&plain).collect();
        if next == plain {
            return Some(plain);
        }
        plain = next;
    }
    None
}

fn check_url(text: &str) -> Result<Url, EndpointError> {
    let url: Url = text.parse().map_err(|_| EndpointError::Url)?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let is_server = matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.port() != Some(0);
    if bare && is_server { Ok(url) } else { Err(EndpointError::Url) }
}

fn value(secret: &SecretSlice<u8>) -> Result<(), EndpointError> {
    sensitive(secret.expose_secret()).map(drop).ok_or(EndpointError::Value)
}

/// A value that no `Debug` shows.
fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::new("MODEL", url, KeyHeader::Bearer, Some(b"sk-real".to_vec().into())).unwrap()
    }

    #[test]
    fn paths_are_put_below_the_url_and_never_above() {
        let target = |url: &str, path: &str| endpoint(url).target(&path.parse().unwrap()).map(|uri| uri.to_string());
        for (url, path, expected) in [
            ("https://api.example/v1", "/MODEL/responses", Some("/v1/responses")),
            ("https://api.example/v1/", "/MODEL/responses?a=b", Some("/v1/responses?a=b")),
            ("https://api.example", "/MODEL", Some("/")),
            ("https://api.example/v1", "/MODEL", Some("/v1")),
            ("https://api.example/v1", "/MODEL/a%20b", Some("/v1/a%20b")),
            ("https://api.example/v1", "/MODEL/a//x", Some("/v1/a//x")),
            ("https://api.example/v1", "/MODEL/a%2fb", Some("/v1/a%2fb")),
            ("https://api.example/v1", "/MODEL/100%25", Some("/v1/100%25")),
            ("https://api.example/v1", "/MODEL/a...b/..c;d", Some("/v1/a...b/..c;d")),
            ("https://api.example/v1", "/MODELS/x", None),
            ("https://api.example/v1", "/other/x", None),
            ("https://api.example/v1", "/MODEL/../admin", None),
            ("https://api.example/v1", "/MODEL/%2e%2e/admin", None),
            ("https://api.example/v1", "/MODEL/.%2E/admin", None),
            ("https://api.example/v1", "/MODEL/..%2fadmin", None),
            ("https://api.example/v1", "/MODEL/..%5cadmin", None),
            ("https://api.example/v1", "/MODEL/./x", None),
            ("https://api.example/v1", "/MODEL/%252e%252e/admin", None),
            ("https://api.example/v1", "/MODEL/%25252e./admin", None),
            ("https://api.example/v1", "/MODEL/..%252fadmin", None),
            ("https://api.example/v1", "/MODEL/a%2525252525", None),
            ("https://api.example/v1", "/MODEL/..;/admin", None),
            ("https://api.example/v1", "/MODEL/..;a=b/admin", None),
            ("https://api.example/v1", "/MODEL/%2e.%3bx/admin", None),
            ("https://api.example/v1", "/MODEL/a%5cb", None),
            ("https://api.example/v1", "/MODEL/a%255cb", None),
            ("https://api.example/v1", "/MODEL/a%00", None),
            ("https://api.example/v1", "/MODEL/a%2500", None),
            ("https://api.example/v1", "/MODEL//x", None),
            ("https://api.example", "/MODEL//evil.example/x", None),
            ("https://api.example/v1", "/MODEL/%2fx", None),
        ] {
            assert_eq!(target(url, path).as_deref(), expected, "{url} {path}");
        }
    }

    #[test]
    fn urls_of_no_server_are_refused() {
        let bad =
            "|ftp://a/|https://|a.example/v1|https://u@a/|https://u:p@a/|https://a/?k=v|https://a/#x|https://a:0/";
        for url in bad.split('|') {
            let error = Endpoint::new("M", url, KeyHeader::Bearer, None).unwrap_err();
            assert_eq!(error, EndpointError::Url, "{url}");
        }
        let key = |key: &[u8]| Endpoint::new("M", "https://a/", KeyHeader::Bearer, Some(key.to_vec().into())).err();
        assert_eq!((key(b"sk-x"), key(b"a\nb")), (None, Some(EndpointError::Value)));
    }

    #[test]
    fn keys_are_read_from_and_put_into_their_header_and_shown_nowhere() {
        let value = HeaderValue::from_static("bEaReR x y");
        assert_eq!(KeyHeader::Bearer.key(&value), Some(b"x y".as_slice()));
        assert_eq!(KeyHeader::Bearer.key(&HeaderValue::from_static("Basic x")), None);
        let named: KeyHeader = "X-Api-Key".parse().unwrap();
        assert_eq!(named.key(&value), Some(b"bEaReR x y".as_slice()));
        assert!("a b".parse::<KeyHeader>().is_err());
        assert_eq!("authorization".parse(), Ok(KeyHeader::Bearer));
        let endpoint = endpoint("https://api.example/v1").with("OpenAI-Project", b"sk-more".to_vec().into()).unwrap();
        let secrets = endpoint.secrets().unwrap();
        assert_eq!(secrets[0].1.as_bytes(), b"Bearer sk-real");
        assert_eq!(secrets[1], (HeaderName::from_static("openai-project"), HeaderValue::from_static("sk-more")));
        assert!(!format!("{endpoint:?} {secrets:?}").contains("sk-"));
    }
}
