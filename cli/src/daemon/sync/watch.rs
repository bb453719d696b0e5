//! When to compare: soon after something in the folder changed, when the version did, and from time to time in any case. Nothing
//! rests on an event: whatever gets lost, the next comparison finds.

use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::AccessKind};
use tokio::sync::Notify;

use super::ignored::is_fixed;

/// Nothing more changed for so long: it is compared.
const QUIET: Duration = Duration::from_millis(100);
/// It is compared after this, whatever goes on.
const LATEST: Duration = Duration::from_millis(250);

/// What watches. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    changed: Arc<Notify>,
    inode: Option<u64>,
    /// Held for its drop alone.
    _watcher: Option<RecommendedWatcher>,
    /// Why nothing is watched.
    pub(crate) failure: Option<String>,
}

impl Watch {
    /// Watches a folder. One that cannot be watched is still compared from time to time.
    pub(crate) fn begin(root: &Path) -> Self {
        let inode = inode(root);
        let changed = Arc::new(Notify::new());
        let (tell, at) = (Arc::clone(&changed), root.to_owned());
        let heard = move |event: notify::Result<Event>| {
            // An error is a change that was not told.
            if event.map_or(true, |event| matters(&at, &event)) {
                tell.notify_one();
            }
        };
        let watcher = RecommendedWatcher::new(heard, Config::default().with_follow_symlinks(false))
            .and_then(|mut watcher| watcher.watch(root, RecursiveMode::Recursive).map(|()| watcher));
        match watcher {
            Ok(watcher) => Self { changed, inode, _watcher: Some(watcher), failure: None },
            Err(error) => Self { changed, inode, _watcher: None, failure: Some(error.to_string()) },
        }
    }

    /// Nothing is watched, for this reason.
    pub(crate) fn none(failure: String) -> Self {
        Self { changed: Arc::default(), inode: None, _watcher: None, failure: Some(failure) }
    }

    /// Whether another folder is in its place by now.
    pub(crate) fn is_stale(&self, root: &Path) -> bool {
        inode(root) != self.inode
    }

    /// Resolves when something has changed and it is quiet again.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
        let first = Instant::now();
        while first.elapsed() < LATEST && tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}

fn inode(root: &Path) -> Option<u64> {
    fs_err::metadata(root).ok().map(|meta| meta.ino())
}

/// Whether it may be something that goes up. Our own reading is an event, too.
fn matters(root: &Path, event: &Event) -> bool {
    let is_read = matches!(event.kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(notify::event::AccessMode::Write)));
    let inside = |path: &Path| path.strip_prefix(root).ok().and_then(Path::to_str).is_some_and(is_fixed);
    event.need_rescan() || !is_read && (event.paths.is_empty() || !event.paths.iter().all(|path| inside(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessMode, CreateKind, Flag};

    use super::*;

    #[test]
    fn only_what_may_go_up_matters() {
        let event = |kind, path: &str| Event::new(kind).add_path(Path::new("/d").join(path));
        let create = EventKind::Create(CreateKind::File);
        assert!(matters(Path::new("/d"), &event(create, "a/b")));
        assert!(!matters(Path::new("/d"), &event(create, "a/node_modules/b")));
        assert!(!matters(Path::new("/d"), &event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "a")));
        assert!(matters(Path::new("/d"), &event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "a")));
        assert!(matters(Path::new("/d"), &Event::new(EventKind::Other).set_flag(Flag::Rescan)), "the queue overflowed");
    }

    #[tokio::test]
    async fn a_change_is_told_once_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::begin(dir.path());
        assert_eq!(watch.failure, None);
        fs_err::create_dir_all(dir.path().join("sub")).unwrap();
        fs_err::write(dir.path().join("sub/file"), "x").unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        // A folder made after the start is watched as well.
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs_err::write(dir.path().join("sub/file"), "y").unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    }
}
