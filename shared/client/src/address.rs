//! Addresses: the server's, and those of routes below it. Segments are bytes, because file names are.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::Url;

use super::ClientError;

/// What RFC 3986 §2.3 leaves as it is; everything else is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads a server's address. User names and passwords are refused: keys have their own setting.
pub(super) fn parse(text: &str) -> Result<Url, ClientError> {
    let wrong = || ClientError::Server(text.to_owned());
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !usable
        || !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(wrong());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

pub(super) fn is_loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

/// `/api/v1/…` below the server's own path.
pub(super) fn api<S: AsRef<[u8]>>(server: &Url, path: impl IntoIterator<Item = S>) -> Url {
    below(&below(server, ["api", "v1"]), path)
}

/// A path below the server's own. A segment `.` or `..` would be taken out of the URL: the caller refuses those.
pub(super) fn below<S: AsRef<[u8]>>(server: &Url, path: impl IntoIterator<Item = S>) -> Url {
    let mut text = server.path().trim_end_matches('/').to_owned();
    for segment in path {
        text.push('/');
        text.extend(percent_encode(segment.as_ref(), SEGMENT));
    }
    let mut url = server.clone();
    url.set_path(&text);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_http_without_credentials() {
        assert_eq!(parse("http://127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        assert_eq!(parse("https://host/drydock/").unwrap().as_str(), "https://host/drydock");
        for wrong in [
            "",
            "127.0.0.1:8080",
            "localhost:8080",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://host/?q",
            "http://host/#f",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_stay_below_and_keep_every_byte() {
        let server = parse("http://host:1/base/").unwrap();
        assert_eq!(api(&server, ["projects", "id"]).as_str(), "http://host:1/base/api/v1/projects/id");
        let bytes: [&[u8]; 3] = [b"files", b"a b%2e?#", b"caf\xe9"];
        assert_eq!(api(&server, bytes).path(), "/base/api/v1/files/a%20b%252e%3F%23/caf%E9");
    }

    #[test]
    fn loopback_is_known() {
        for near in ["http://localhost", "http://127.0.0.1:80", "http://127.9.9.9", "http://[::1]:8080"] {
            assert!(is_loopback(&parse(near).unwrap()), "{near}");
        }
        for far in ["http://10.0.0.1", "https://example.org", "http://localhost.example.org", "http://[2001:db8::1]"] {
            assert!(!is_loopback(&parse(far).unwrap()), "{far}");
        }
    }
}
