//! `Expected`: which state a change may follow, from `If-Match` (RFC 9110 §13.1.1). The entity tag of a project's line of
//! versions is its newest number in quotes: `"3"` for what `head_version` gives as 3; that of a user or a tenant is how often it was
//! changed.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

/// The newest versions, or revisions, that a change accepts; `None` accepts any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected(Option<Vec<i32>>);

impl Expected {
    /// Reads `If-Match`. Absent and `*` accept any; a tag that is weak or no number matches none.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let given = headers.get_all(header::IF_MATCH);
        if given.iter().next().is_none() {
            return Self(None);
        }
        let lists = given.iter().filter_map(|value| value.to_str().ok());
        let tags: Vec<&str> = lists.flat_map(|list| list.split(',')).map(str::trim).collect();
        if tags.contains(&"*") { Self(None) } else { Self(Some(tags.into_iter().filter_map(number).collect())) }
    }

    /// Whether it accepts this one.
    pub(crate) fn accepts(&self, number: i32) -> bool {
        self.0.as_ref().is_none_or(|numbers| numbers.contains(&number))
    }

    /// The numbers, for the database.
    pub(crate) fn numbers(&self) -> Option<&[i32]> {
        self.0.as_deref()
    }
}

/// The entity tag of a line of versions whose newest is `number`, or of a revision.
pub(crate) fn head_tag(number: i32) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{number}\"")).ok()
}

/// A view with the entity tag of this revision.
pub(crate) fn tagged(revision: i32, view: impl Serialize) -> Response {
    let mut response = Json(view).into_response();
    response.headers_mut().extend(head_tag(revision).map(|tag| (header::ETAG, tag)));
    response
}

fn number(tag: &str) -> Option<i32> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_quoted_numbers() {
        let read = |values: &[&'static str]| {
            let pairs = values.iter().map(|value| (header::IF_MATCH, HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            pairs.for_each(|(name, value)| {
                headers.append(name, value);
            });
            Expected::read(&headers).0
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["*"]), None);
        assert_eq!(read(&["\"3\""]), Some(vec![3]));
        assert_eq!(read(&["\"3\" , \"0\"", "\"12\""]), Some(vec![3, 0, 12]));
        for none in ["", "3", "W/\"3\"", "\"+3\"", "\"x\"", "\"99999999999\""] {
            assert_eq!(read(&[none]), Some(vec![]), "{none}");
        }
    }
}
