//! The key in `Authorization: Bearer …` (RFC 6750 §2.1). Nowhere else: what is in a URL is in logs.

use axum::http::{HeaderMap, header};
use drydock_domain::ApiKey;

use crate::error::ApiError;

/// The key presented; none where there is no such header.
///
/// # Errors
/// 401: there is one, and no key in it. What it holds is not repeated.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<ApiKey>, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let malformed = || ApiError::Unauthorized("Malformed API key: send Authorization: Bearer dd_…, once");
    if given.next().is_some() {
        return Err(malformed());
    }
    let (scheme, key) = first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    key.parse().map(Some).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn one_key_in_one_header() {
        assert!(read(&HeaderMap::new()).unwrap().is_none());
        let key = ApiKey::generate();
        let text = key.text();
        let text = text.expose_secret();
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let found = read(&headers(&[format!("{scheme} {text}").as_bytes()])).unwrap().unwrap();
            assert_eq!((found.prefix(), found.hash()), (key.prefix(), key.hash()));
        }
        let line = |before: &str, after: &str| format!("{before}{text}{after}").into_bytes();
        let others = [
            line("", ""),
            line("Bearer  ", ""),
            line("Bearer", ""),
            line("Basic ", ""),
            line("Bearer ", " "),
            line("Bearer ", ",Bearer x"),
            b"Bearer".to_vec(),
            b"Bearer ".to_vec(),
            b"Bearer caf\xc3\xa9".to_vec(),
        ];
        for other in &others {
            assert!(read(&headers(&[other])).is_err(), "{}", String::from_utf8_lossy(other));
        }
        let twice = line("Bearer ", "");
        assert!(read(&headers(&[&twice, &twice])).is_err());
    }
}
