//! `ByteRange`: one range of bytes (RFC 9110 §14). Several at once are answered with the whole content, which is allowed.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::error::ApiError;

/// Which bytes of a content of known size are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// All of them: 200.
    Whole,
    /// These: 206.
    Part(Range<u64>),
}

impl ByteRange {
    /// Reads `Range`, unless `If-Range` names another content than `etag`. A range outside the content is 416.
    pub(crate) fn wanted(headers: &HeaderMap, size: u64, etag: Option<&str>) -> Result<Self, ApiError> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let stale = text(header::IF_RANGE).is_some_and(|given| etag != Some(given));
        match text(header::RANGE).and_then(parse) {
            // The last bytes of nothing are all of it, and a part of nothing cannot be said (RFC 9110 §14.1.2, §14.4).
            Some(Spec::Last(1..)) if !stale && size == 0 => Ok(Self::Whole),
            Some(spec) if !stale => spec.resolve(size).map(Self::Part).ok_or(ApiError::RangeNotSatisfiable(size)),
            _ => Ok(Self::Whole),
        }
    }

    /// The bytes, in a content of `size`.
    pub(crate) fn bytes(&self, size: u64) -> Range<u64> {
        match self {
            Self::Whole => 0..size,
            Self::Part(range) => range.clone(),
        }
    }
}

#[derive(Clone, Copy)]
enum Spec {
    From(u64),
    FromTo(u64, u64),
    Last(u64),
}

impl Spec {
    fn resolve(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(start) => start..size,
            Self::FromTo(start, end) => start..end.saturating_add(1).min(size),
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// A range that is not understood is none (RFC 9110 §14.2). Units have no case, and a position beyond any file is a position.
fn parse(header: &str) -> Option<Spec> {
    let (unit, range) = header.split_once('=')?;
    let (start, end) = range.trim().split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (start, end) {
        ("", count) => number(count).map(Spec::Last),
        (start, "") => number(start).map(Spec::From),
        (start, end) => {
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then_some(Spec::FromTo(start, end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let cases = [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-", Some(2..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=5-99", Some(5..10)),
            ("bytes=9-18446744073709551615", Some(9..10)),
            ("bytes=9-99999999999999999999", Some(9..10)),
            ("bytes=-99999999999999999999", Some(0..10)),
            ("Bytes=0-0", Some(0..1)),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header).and_then(|spec| spec.resolve(10)), expected, "{header}");
        }
        for outside in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-"] {
            assert_eq!(parse(outside).map(|spec| spec.resolve(10)), Some(None), "{outside}");
        }
        for ignored in
            ["", "bytes", "bytes=", "bytes=-", "bytes=2-1", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4", "bytes=+1-2"]
        {
            assert!(parse(ignored).is_none(), "{ignored}");
        }
        assert_eq!(parse("bytes=0-").and_then(|spec| spec.resolve(0)), None, "an empty content has no range");
    }

    #[test]
    fn the_end_of_nothing_is_the_whole() {
        let headers = |range| HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
        assert_eq!(ByteRange::wanted(&headers("bytes=-5"), 0, None).unwrap(), ByteRange::Whole);
        for outside in ["bytes=0-", "bytes=-0"] {
            assert!(ByteRange::wanted(&headers(outside), 0, None).is_err(), "{outside}");
        }
    }

    #[test]
    fn another_content_gets_the_whole() {
        let headers = |if_range: &'static str| {
            let pairs = [(header::RANGE, "bytes=0-1"), (header::IF_RANGE, if_range)];
            HeaderMap::from_iter(pairs.map(|(name, value)| (name, HeaderValue::from_static(value))))
        };
        assert_eq!(ByteRange::wanted(&headers("\"a\""), 10, Some("\"a\"")).unwrap(), ByteRange::Part(0..2));
        assert_eq!(ByteRange::wanted(&headers("\"b\""), 10, Some("\"a\"")).unwrap(), ByteRange::Whole);
        assert_eq!(ByteRange::wanted(&headers("\"b\""), 10, None).unwrap(), ByteRange::Whole);
    }
}
