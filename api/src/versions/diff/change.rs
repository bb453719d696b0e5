//! What became of a file from one version to another. Directories are not listed, as everywhere.

use drydock_domain::{Changes, Entry, EntryKind, RelativePath, Tree};

/// One changed path, with what was and what is there: files and links.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Created(Entry),
    Deleted(Entry),
    /// Another content, or another target of a link; perhaps another mode too.
    Modified {
        old: Entry,
        new: Entry,
    },
    /// The same content with other permissions.
    ModeChanged {
        old: Entry,
        new: Entry,
    },
    /// A file in place of a link, or the other way round.
    TypeChanged {
        old: Entry,
        new: Entry,
    },
    /// Gone here and new there, with contents that are alike.
    Renamed {
        old: Entry,
        new: Entry,
        similarity: Similarity,
    },
}

/// How alike two contents are, in percent; 100 only where they are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Similarity(u8);

impl Similarity {
    pub(super) const SAME: Self = Self(100);
    /// Contents less alike than this are two files, as for git.
    pub(super) const LEAST: Self = Self(50);

    /// Of contents that differ.
    pub(super) fn of_parts(common: u64, longest: u64) -> Self {
        let percent = (common * 100).checked_div(longest).unwrap_or(0).min(99);
        Self(u8::try_from(percent).unwrap_or(99))
    }

    pub(super) const fn percent(self) -> u8 {
        self.0
    }
}

impl Change {
    /// Each change that `holds` wants, in path order; renames are not looked for.
    pub(super) fn between(old: &Tree, new: &Tree, holds: impl Fn(&RelativePath) -> bool) -> Vec<Self> {
        let Changes { created, modified, deleted } = Changes::between(old, new);
        let paths = created.into_iter().chain(modified).chain(deleted).filter(|path| holds(path));
        let file = |tree: &Tree, path: &RelativePath| tree.get(path).filter(|entry| !entry.is_dir()).cloned();
        let mut changes: Vec<Self> = paths.filter_map(|path| Self::of(file(old, &path), file(new, &path))).collect();
        changes.sort_by(|a, b| a.path().cmp(b.path()));
        changes
    }

    fn of(old: Option<Entry>, new: Option<Entry>) -> Option<Self> {
        match (old, new) {
            (None, None) => None,
            (None, Some(new)) => Some(Self::Created(new)),
            (Some(old), None) => Some(Self::Deleted(old)),
            (Some(old), Some(new)) => Some(match (&old.kind, &new.kind) {
                (EntryKind::File { blob: was, .. }, EntryKind::File { blob: is, .. }) if was == is => {
                    Self::ModeChanged { old, new }
                }
                (EntryKind::File { .. }, EntryKind::File { .. })
                | (EntryKind::Symlink { .. }, EntryKind::Symlink { .. }) => Self::Modified { old, new },
                _ => Self::TypeChanged { old, new },
            }),
        }
    }

    /// Where it is now, or was last.
    pub(super) fn path(&self) -> &RelativePath {
        match self {
            Self::Deleted(entry)
            | Self::Created(entry)
            | Self::Modified { new: entry, .. }
            | Self::ModeChanged { new: entry, .. }
            | Self::TypeChanged { new: entry, .. }
            | Self::Renamed { new: entry, .. } => &entry.path,
        }
    }

    pub(super) const fn was(&self) -> Option<&Entry> {
        match self {
            Self::Created(_) => None,
            Self::Deleted(old)
            | Self::Modified { old, .. }
            | Self::ModeChanged { old, .. }
            | Self::TypeChanged { old, .. }
            | Self::Renamed { old, .. } => Some(old),
        }
    }

    pub(super) const fn is(&self) -> Option<&Entry> {
        match self {
            Self::Deleted(_) => None,
            Self::Created(new)
            | Self::Modified { new, .. }
            | Self::ModeChanged { new, .. }
            | Self::TypeChanged { new, .. }
            | Self::Renamed { new, .. } => Some(new),
        }
    }

    /// Whether what it says follows from the contents: where they are the same, nothing has to be read.
    pub(super) fn needs_content(&self) -> bool {
        !matches!(self, Self::ModeChanged { .. })
            && !matches!(self, Self::Renamed { similarity, .. } if *similarity == Similarity::SAME)
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Deleted(_) => "deleted",
            Self::Modified { .. } => "modified",
            Self::ModeChanged { .. } => "mode_changed",
            Self::TypeChanged { .. } => "type_changed",
            Self::Renamed { .. } => "renamed",
        }
    }
}

/// Type and permissions as git counts them, with every permission we keep.
pub(super) fn mode(entry: &Entry) -> u32 {
    match &entry.kind {
        EntryKind::File { mode, .. } => 0o100_000 | mode.bits(),
        EntryKind::Symlink { .. } => 0o120_000,
        EntryKind::Dir { mode } => 0o040_000 | mode.bits(),
    }
}

/// What git keeps of a mode: whether the owner may execute a file.
pub(super) fn git_mode(entry: &Entry) -> u32 {
    match mode(entry) {
        mode if mode & 0o170_000 != 0o100_000 => mode,
        mode if mode & 0o100 != 0 => 0o100_755,
        _ => 0o100_644,
    }
}
