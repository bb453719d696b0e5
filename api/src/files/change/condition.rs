//! What a change asks of the state it is made to: `If-Match` and `If-None-Match` (RFC 9110 §13.1).

use axum::http::{HeaderMap, header};
use drydock_domain::EntryKind;

use super::super::tree::Loaded;
use crate::{error::ApiError, extract::Expected};

/// The newest version, or the content of the file, that a change may follow.
#[derive(Debug)]
pub(super) struct Condition {
    newest: Expected,
    /// Tags as they came: one may be that of the file, as reading it gives.
    tags: Vec<String>,
    /// `If-None-Match: *`: nothing may be there.
    only_new: bool,
}

impl Condition {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let list = |name| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect::<Vec<_>>()
        };
        let only_new = list(header::IF_NONE_MATCH).iter().any(|tag| tag == "*");
        Self { newest: Expected::read(headers), tags: list(header::IF_MATCH), only_new }
    }

    /// Whether it names a state, so that another one is not to be followed.
    pub(super) fn is_given(&self) -> bool {
        self.newest.numbers().is_some()
    }

    /// As [`Self::check`], for a change to the one path where `there` is.
    pub(super) fn check_at(&self, base: &Loaded, there: Option<&EntryKind>) -> Result<(), ApiError> {
        if there.is_none() && self.tags.iter().any(|tag| tag == "*") {
            return Err(ApiError::PreconditionFailed("No file is there, and If-Match: * asks for one".into()));
        }
        self.check(base, there)
    }

    /// Refuses another state than the one asked for. `there` is what is at the path, for changes to one.
    pub(super) fn check(&self, base: &Loaded, there: Option<&EntryKind>) -> Result<(), ApiError> {
        if self.only_new && there.is_some() {
            return Err(ApiError::PreconditionFailed("The file is there already".into()));
        }
        let Some(numbers) = self.newest.numbers() else { return Ok(()) };
        let content = match there {
            Some(EntryKind::File { blob, .. }) => Some(format!("\"{blob}\"")),
            _ => None,
        };
        if numbers.contains(&base.number) || content.is_some_and(|tag| self.tags.contains(&tag)) {
            return Ok(());
        }
        Err(moved(base.number))
    }
}

/// The refusal where the newest version is `head`.
pub(super) fn moved(head: i32) -> ApiError {
    let detail = format!("The newest version is {head}: look at it, then send If-Match: \"{head}\"");
    ApiError::PreconditionFailed(detail.into())
}
