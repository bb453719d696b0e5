//! What is in `Authorization: Bearer …` (RFC 6750 §2.1): a key or a token. Nowhere else: what is in a URL is in logs.

use axum::http::{HeaderMap, header};
use drydock_domain::ApiKey;
use secrecy::SecretString;

use crate::error::ApiError;

/// Longest token, in bytes: issuers that list a bearer's groups make long ones, and nobody makes longer ones.
const MAX_TOKEN: usize = 16 * 1024;

/// What is presented.
#[derive(Debug)]
pub(super) enum Presented {
    Key(ApiKey),
    /// Three parts with dots between: a token, as far as its form goes.
    Token(SecretString),
}

/// What is presented; none where there is no such header. Tokens are malformed keys unless they are `taken`.
///
/// # Errors
/// 401: there is one, and neither a key nor a token in it. What it holds is not repeated.
pub(super) fn read(headers: &HeaderMap, taken: bool) -> Result<Option<Presented>, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let malformed = || ApiError::Stranger("Malformed API key: send Authorization: Bearer dd_…, once");
    if given.next().is_some() {
        return Err(malformed());
    }
    let (scheme, text) = first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    if taken && is_token(text) {
        if text.len() > MAX_TOKEN {
            return Err(ApiError::Stranger("Token is too long: it may have 16 KiB"));
        }
        return Ok(Some(Presented::Token(text.into())));
    }
    text.parse().map(|key| Some(Presented::Key(key))).map_err(|_| malformed())
}

/// A compact JWS (RFC 7515 §7.1): no key has a dot.
fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes().filter(|byte| *byte == b'.').count() == 2 && text.bytes().all(plain)
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
        assert!(read(&HeaderMap::new(), true).unwrap().is_none());
        let key = ApiKey::generate();
        let text = key.text();
        let text = text.expose_secret();
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let found = read(&headers(&[format!("{scheme} {text}").as_bytes()]), true).unwrap().unwrap();
            let Presented::Key(found) = found else { panic!("{found:?}") };
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
            assert!(read(&headers(&[other]), true).is_err(), "{}", String::from_utf8_lossy(other));
        }
        let twice = line("Bearer ", "");
        assert!(read(&headers(&[&twice, &twice]), true).is_err());
    }

    #[test]
    fn a_token_has_three_parts_and_counts_only_where_tokens_are_taken() {
        let present = |text: &str, taken| read(&headers(&[format!("Bearer {text}").as_bytes()]), taken);
        let found = present("ab.c-_.d", true).unwrap().unwrap();
        assert!(matches!(&found, Presented::Token(token) if token.expose_secret() == "ab.c-_.d"));
        assert!(!format!("{found:?}").contains("ab.c"));
        assert!(matches!(present("a.b.", true), Ok(Some(Presented::Token(_)))), "unsigned, and still one to be judged");
        for (text, taken) in
            [("ab.c.d", false), ("ab.c", true), ("a.b.c.d.e", true), ("a.b.c=", true), ("a.b c.d", true)]
        {
            assert!(present(text, taken).is_err(), "{text}");
        }
        let longest = format!("a.b.{}", "c".repeat(MAX_TOKEN - 4));
        assert!(present(&longest, true).is_ok() && present(&format!("{longest}c"), true).is_err());
    }
}
