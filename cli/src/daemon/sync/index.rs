//! What the folder and a version last had alike, kept on disk.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::super::state::write_whole;
use crate::archive::Known;

/// What tells without reading whether a file is the same. One that was changed just before it was looked at has none: it could
/// change again within the same tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stat {
    size: u64,
    mtime: i64,
    /// Nobody sets it back.
    ctime: i64,
    mode: u32,
    inode: u64,
}

impl Stat {
    /// As the file system tells it.
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        let nanos = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        let (mtime, ctime) = (nanos(meta.mtime(), meta.mtime_nsec()), nanos(meta.ctime(), meta.ctime_nsec()));
        Self { size: meta.len(), mtime, ctime, mode: meta.permissions().mode() & 0o777, inode: meta.ino() }
    }

    /// When it last changed in any way, in nanoseconds since 1970.
    pub(crate) fn changed(&self) -> i64 {
        self.mtime.max(self.ctime)
    }
}

/// A path as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// What is there.
    pub(crate) known: Known,
    /// How to tell that it is the same still, where that can be told.
    pub(crate) stat: Option<Stat>,
}

/// A folder as itself, whatever is in it: an inode's number is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    inode: u64,
    /// `None` where the file system does not tell.
    born: Option<SystemTime>,
}

impl Root {
    /// As the file system tells it.
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        Self { inode: meta.ino(), born: meta.created().ok() }
    }
}

/// What a base is of: of anything else it says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whose {
    /// The project.
    pub(crate) project: String,
    /// The folder.
    pub(crate) root: Root,
}

/// The state of the folder when it was last like a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Which version; `None`: none yet.
    pub(crate) version: Option<u64>,
    /// `None`: of nothing yet.
    pub(crate) whose: Option<Whose>,
    /// What both had.
    pub(crate) base: BTreeMap<String, Seen>,
    /// What was about to come down, and as what: kept before the first of it comes, as some may be there when the rest fails.
    pub(crate) coming: BTreeMap<String, Option<Known>>,
    /// The last version that was made of the folder's changes.
    pub(crate) made: Option<u64>,
}

impl Index {
    /// The one on disk; an empty one where there is none, or none that can be read: that is the first time again.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        match fs_err::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        write_whole(path, &serde_json::to_vec(self)?)
    }

    /// The base as what a scan may rely on.
    pub(crate) fn seen(&self) -> HashMap<String, Seen> {
        self.base.iter().map(|(path, seen)| (path.clone(), seen.clone())).collect()
    }

    /// Whether `known` makes a file of what is a directory, or the other way round: what was there goes before the other comes.
    pub(crate) fn turns(&self, path: &str, known: Option<&Known>) -> bool {
        self.base.get(path).is_some_and(|was| (was.known == Known::Dir) != (known == Some(&Known::Dir)))
    }

    /// Both sides have this at a path; answers whether that is news.
    pub(crate) fn agree(&mut self, path: &str, known: Option<&Known>, seen: Option<&Seen>) -> bool {
        let Some(known) = known else {
            return self.base.remove(path).is_some();
        };
        let stat = seen.and_then(|seen| seen.stat);
        let now = Seen { known: known.clone(), stat };
        if self.base.get(path) == Some(&now) {
            return false;
        }
        self.base.insert(path.to_owned(), now);
        true
    }
}
