//! What pages of elsewhere may not do in a browser that reaches the API. A key keeps them out, since no browser sends one by itself; these are for
//! where there is none: before the first key, and on a daemon's socket, to which the rules of CORS do not apply.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header, request::Parts};

use crate::{config::ApiConfig, error::ApiError};

const OTHER_ORIGIN: ApiError = ApiError::Forbidden(std::borrow::Cow::Borrowed(
    "Pages of this origin may not do this: ALLOW_ORIGINS names those that may",
));
const OTHER_HOST: ApiError = ApiError::Forbidden(std::borrow::Cow::Borrowed(
    "While no API key exists, Host should be an address or localhost: make the first key, or set DRYDOCK_INSECURE_OPEN=true",
));

/// Refuses a page whose origin is not allowed. A program sends none.
pub(super) fn allowed_origin(config: &ApiConfig, headers: &HeaderMap) -> Result<(), ApiError> {
    let origins = &config.cors.allow_origins;
    let allowed = |origin: &[u8]| origins.0.iter().any(|known| known.as_bytes() == origin);
    let all = headers.get_all(header::ORIGIN).iter().all(|origin| allowed(origin.as_bytes()));
    if all || origins.has_wildcard() { Ok(()) } else { Err(OTHER_ORIGIN) }
}

/// Refuses what pages could have sent where no key is asked for: changes that need no preflight, and any request under a name that somebody
/// lets stand for this host's address (DNS rebinding).
pub(super) fn not_of_a_page(config: &ApiConfig, parts: &Parts) -> Result<(), ApiError> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        allowed_origin(config, &parts.headers)?;
    }
    // Then others reach it as well, by names of their own network.
    if config.insecure_open.0 || host(parts).is_some_and(is_local) { Ok(()) } else { Err(OTHER_HOST) }
}

/// Where the client believes to be: `:authority`, or `Host`.
fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| parts.headers.get(header::HOST)?.to_str().ok())
}

/// Whether it is a name that stands for nothing but this host, or no name at all.
fn is_local(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (bare.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_local() {
        let hosts = [
            "localhost",
            "localhost:8080",
            "LOCALHOST.",
            "a.localhost:1",
            "127.0.0.1",
            "192.0.2.1:80",
            "[::1]",
            "[::1]:8080",
        ];
        for host in hosts {
            assert!(is_local(host), "{host}");
        }
        let others = [
            "",
            "x",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "localhost:8080@evil.example",
            "evil.example:localhost",
            "localhost:x",
        ];
        for host in others {
            assert!(!is_local(host), "{host}");
        }
    }
}
