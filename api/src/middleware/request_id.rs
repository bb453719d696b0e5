//! The id of a request: the client's where it is fit to be logged and echoed, else ours.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Where it comes and goes.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LEN: usize = 128;

/// The id, as a request carries it.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// The id as text and as a header.
pub(super) fn of(headers: &HeaderMap) -> (String, HeaderValue) {
    if let Some(given) = headers.get(X_REQUEST_ID)
        && let Ok(text) = given.to_str()
        && (1..=MAX_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return (text.to_owned(), given.clone());
    }
    let made = uuid::Uuid::now_v7().to_string();
    let header = HeaderValue::try_from(&made).expect("a UUID is visible ASCII");
    (made, header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bounded_visible_ascii_is_taken_over() {
        let long = "x".repeat(MAX_LEN + 1);
        let cases: [(&[u8], bool); 7] = [
            (b"abc-123", true),
            (&long.as_bytes()[1..], true),
            (long.as_bytes(), false),
            (b"", false),
            (b"two words", false),
            (b"tab\there", false),
            (b"caf\xc3\xa9", false),
        ];
        for (given, kept) in cases {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(given).unwrap())]);
            let (text, header) = of(&headers);
            assert_eq!(text.as_bytes() == given, kept, "{given:?}");
            assert_eq!(header.as_bytes(), text.as_bytes());
        }
        assert_eq!(uuid::Uuid::parse_str(&of(&HeaderMap::new()).0).unwrap().get_version_num(), 7);
    }
}
