//! `?path=`: a part of a tree, a file or link, or a directory with all that is below it.

use drydock_domain::RelativePath;

use super::parse;
use crate::{
    error::ApiError,
    validate::{Fault, Fields},
};

/// A part of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subtree(RelativePath);

impl Subtree {
    /// Takes `path`. Like a path in an address it is refused (400) where it leaves the workspace, as it is or decoded again.
    pub(crate) fn take(fields: &mut Fields) -> Option<Result<Self, ApiError>> {
        let text = fields.optional("path", |value| {
            let text = value.as_str().ok_or_else(|| Fault::new("string_type", "Input should be a valid string"))?;
            Ok(text.to_owned())
        })?;
        // The resolver decodes once, and a query string is decoded already.
        Some(parse(&text.replace('%', "%25")).map(Self).map_err(ApiError::from))
    }

    /// Its top.
    pub(crate) const fn path(&self) -> &RelativePath {
        &self.0
    }

    /// Whether `path` is in it.
    pub(crate) fn holds(&self, path: &RelativePath) -> bool {
        matches!(path.as_bytes().strip_prefix(self.0.as_bytes()), Some([] | [b'/', ..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &str) -> Result<Subtree, ApiError> {
        Subtree::take(&mut Fields::query(vec![("path".to_owned(), path.to_owned())])).unwrap()
    }

    #[test]
    fn it_holds_itself_and_what_is_below() {
        let part = take("src/a/").unwrap();
        for (path, holds) in [("src/a", true), ("src/a/b", true), ("src/ab", false), ("src", false), ("x/src/a", false)]
        {
            assert_eq!(part.holds(&path.parse().unwrap()), holds, "{path}");
        }
        assert_eq!(take("100%").unwrap(), Subtree("100%".parse().unwrap()));
    }

    #[test]
    fn what_leaves_is_refused() {
        for path in ["/etc", "../x", "a/../../x", "%2e%2e/x", "C:\\x", "a\0"] {
            assert!(matches!(take(path), Err(ApiError::BadRequest(_))), "{path}");
        }
        for path in ["", ".", "./"] {
            assert!(matches!(take(path), Err(ApiError::NotFound(_))), "{path}");
        }
    }
}
