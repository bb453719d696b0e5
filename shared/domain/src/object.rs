//! What is kept in object storage by its content's hash.

use crate::state::UnknownName;

/// A kind of object that versions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Contents of files.
    Pack,
    /// What is in a tree, and where its contents lie.
    Manifest,
}

impl ObjectKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pack, Self::Manifest];

    /// The word used in rows and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Manifest => "manifest",
        }
    }
}

impl std::str::FromStr for ObjectKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownName { what: "object kind", name: name.to_owned() })
    }
}
