//! `Baseline`: what every file looked like when it was materialized, so that unchanged ones need not be read again.
//!
//! Owns the rule of what "unchanged" may be concluded from. A file is the same if inode, size, modification time, change
//! time and mode are; the change time decides, because no program can set it. Times within [`RACY_WINDOW`] of the end
//! of materialization prove nothing, as in Git (its `racy-git.txt`): the clock of a file system moves in steps, and a
//! write within the same step leaves no trace.

use std::time::Duration;

use rustix::fs::Stat;

/// One step of the coarsest clock a kernel stamps files with (`CONFIG_HZ=100`), before multigrain times (Linux 6.13).
const RACY_WINDOW: Duration = Duration::from_millis(10);

/// A point in time as files carry it: seconds and nanoseconds since 1970.
type Timestamp = (i64, u32);

/// The properties of a file that tell whether it was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::workspace) struct FileStat {
    inode: u64,
    pub(in crate::workspace) size: u64,
    modified: Timestamp,
    changed: Timestamp,
    pub(in crate::workspace) mode: u32,
}

impl From<&Stat> for FileStat {
    #[expect(clippy::unnecessary_cast, reason = "the types of these fields differ between architectures")]
    fn from(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            mode: stat.st_mode & 0o7777,
        }
    }
}

/// Taken by [`materialize`](super::materialize), used by [`push`](super::push).
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// For each entry of the version's tree, in its order; `None` for what is no file.
    files: Vec<Option<FileStat>>,
    /// Times before this are trusted.
    settled: Timestamp,
}

impl Baseline {
    pub(in crate::workspace) fn new(files: Vec<Option<FileStat>>, end: Duration) -> Self {
        let settled = end.saturating_sub(RACY_WINDOW);
        Self { files, settled: (settled.as_secs().try_into().unwrap_or(i64::MAX), settled.subsec_nanos()) }
    }

    /// Whether the entry at `index` of the version's tree is surely untouched.
    pub(super) fn is_unchanged(&self, index: usize, now: &FileStat) -> bool {
        let Some(Some(then)) = self.files.get(index) else {
            return false;
        };
        then == now && then.modified < self.settled && then.changed < self.settled
    }

    /// A baseline that proves nothing: every file is read again.
    pub fn untrusted() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(seconds: i64, nanos: u32) -> FileStat {
        FileStat { inode: 7, size: 3, modified: (seconds, nanos), changed: (seconds, nanos), mode: 0o644 }
    }

    #[test]
    fn only_identical_and_settled_files_are_unchanged() {
        let then = file(100, 0);
        let baseline = Baseline::new(vec![Some(then), None], Duration::from_secs(200));
        assert!(baseline.is_unchanged(0, &then));
        assert!(!baseline.is_unchanged(1, &then));
        assert!(!baseline.is_unchanged(2, &then));
        for now in [
            FileStat { inode: 8, ..then },
            FileStat { size: 4, ..then },
            FileStat { modified: (100, 1), ..then },
            FileStat { changed: (100, 1), ..then },
            FileStat { mode: 0o600, ..then },
        ] {
            assert!(!baseline.is_unchanged(0, &now), "{now:?}");
        }
        assert!(!Baseline::untrusted().is_unchanged(0, &then));
    }

    #[test]
    fn files_written_at_the_very_end_are_not_trusted() {
        let end = Duration::new(100, 5_000_000);
        let racy = file(99, 995_000_001);
        assert!(!Baseline::new(vec![Some(racy)], end).is_unchanged(0, &racy));
        let settled = file(99, 994_999_999);
        assert!(Baseline::new(vec![Some(settled)], end).is_unchanged(0, &settled));
        let only_changed = FileStat { modified: (1, 0), ..racy };
        assert!(!Baseline::new(vec![Some(only_changed)], end).is_unchanged(0, &only_changed));
    }
}
