//! Bringing a version's changes into the folder. What was changed here meanwhile is left alone: the next comparison sees it.

use std::{collections::HashMap, io, path::Path, time::Duration};

use drydock_client::{Client, ClientError, FilePath};
use drydock_domain::RelativePath;
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;

use super::{
    index::{Seen, Stat},
    place::{Place, set_mode},
    scan::{Scan, is_reached},
};
use crate::archive::{self, Known};

/// Files fetched at once.
const AT_ONCE: usize = 8;
/// How long each part of a file may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// Paths that are now as the version has them.
    pub(crate) done: Vec<String>,
    /// What people should know.
    pub(crate) notes: Vec<String>,
    /// Whether something was changed here meanwhile, and is not as the version has it.
    pub(crate) is_stale: bool,
    /// Why something could not be written that nothing is in the way of.
    pub(crate) failed: Option<io::Error>,
}

/// Which version comes down, and where.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// Who fetches.
    pub(crate) client: &'a Client,
    /// Whose version.
    pub(crate) project: &'a str,
    /// Which.
    pub(crate) version: u64,
    /// What it has.
    pub(crate) head: &'a HashMap<String, Known>,
    /// The folder.
    pub(crate) root: &'a Path,
}

impl Source<'_> {
    /// Brings `paths`: removes first, from the bottom up, then makes directories, links and files.
    ///
    /// # Errors
    /// The server cannot be asked. What cannot be written is left and told.
    pub(crate) async fn bring(&self, paths: &[String], scan: &Scan) -> Result<Brought, DownError> {
        let place = Place::open(self.root)?;
        let mut brought = Brought::default();
        for path in paths.iter().rev() {
            let Some(local) = scan.seen.get(path) else { continue };
            let is_dir = local.known == Known::Dir;
            let stays = self.head.get(path).is_some_and(|head| (*head == Known::Dir) == is_dir);
            if stays {
                continue;
            }
            if !is_still(self.root, path, Some(local)) {
                brought.is_stale = true;
                continue;
            }
            match relative(path).and_then(|name| place.remove(&name, is_dir)) {
                Ok(true) if !self.head.contains_key(path) => brought.done.push(path.clone()),
                // A directory that has something of its own stays.
                Ok(_) => {}
                Err(error) => brought.fails("remove", path, error),
            }
        }
        let mut files = Vec::new();
        for path in paths {
            match self.head.get(path) {
                None => {}
                Some(Known::File { mode, blake3, .. }) => files.push((path, *mode, blake3)),
                Some(known) => brought.take(path, self.put(&place, path, known, scan)),
            }
        }
        let fetches = files.into_iter().map(|(path, mode, blake3)| self.file(&place, path, mode, blake3, scan));
        let mut fetches = stream::iter(fetches).buffer_unordered(AT_ONCE);
        while let Some((path, done)) = fetches.next().await {
            match done {
                Ok(done) => brought.take(path, Ok(done)),
                Err(DownError::Disk(error)) => brought.take(path, Err(error)),
                Err(asked) => return Err(asked),
            }
        }
        Ok(brought)
    }

    fn put(&self, place: &Place, path: &str, known: &Known, scan: &Scan) -> io::Result<bool> {
        let name = relative(path)?;
        match known {
            Known::Dir => place.make_dir(&name).map(|()| true),
            Known::Symlink(target) if self.may_write(path, scan)? => place.symlink(&name, target).map(|()| true),
            _ => Ok(false),
        }
    }

    async fn file<'p>(
        &self,
        place: &Place,
        path: &'p str,
        mode: u32,
        blake3: &str,
        scan: &Scan,
    ) -> (&'p str, Result<bool, DownError>) {
        let fetch = async {
            let name = relative(path)?;
            let address = FilePath::new(self.project, path).map_err(io::Error::other)?;
            let mut response = self.client.read_file(&address).query("version", self.version).send().await?;
            let (beside, file) = place.begin(&name)?;
            let (mut file, mut hasher) = (tokio::fs::File::from_std(file), blake3::Hasher::new());
            while let Some(part) = self.client.chunk(&mut response, LIMIT).await? {
                hasher.update(&part);
                file.write_all(&part).await?;
            }
            file.flush().await?;
            // A name is never ahead of what it names, even if the machine fails.
            file.sync_data().await?;
            set_mode(&file.into_std().await, mode)?;
            if hasher.finalize().to_hex().as_str() != blake3 {
                return Err(io::Error::other("what came is not what the version lists").into());
            }
            if !self.may_write(path, scan)? {
                return Ok(false);
            }
            beside.put(&name)?;
            Ok(true)
        };
        (path, fetch.await)
    }

    /// Whether the folder still has what was seen there, or what was there has just been removed.
    fn may_write(&self, path: &str, scan: &Scan) -> io::Result<bool> {
        let seen = scan.seen.get(path);
        let may = is_still(self.root, path, seen)
            || seen.is_some_and(|seen| seen.known == Known::Dir) && is_still(self.root, path, None);
        if !may && seen.is_none() && !can_be_seen(self.root, path) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is no file of the folder is in its place"));
        }
        Ok(may)
    }
}

impl Brought {
    fn take(&mut self, path: &str, done: io::Result<bool>) {
        match done {
            Ok(true) => self.done.push(path.to_owned()),
            Ok(false) => self.is_stale = true,
            Err(error) => self.fails("write", path, error),
        }
    }

    fn fails(&mut self, what: &str, path: &str, error: io::Error) {
        self.notes.push(format!("cannot {what} '{path}': {error}"));
        if !is_in_the_way(&error) {
            self.failed.get_or_insert(error);
        }
    }
}

fn relative(path: &str) -> io::Result<RelativePath> {
    RelativePath::new(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Whether it is what the folder has that does not let a version's take its place: that stays as it is, and the rest goes on.
fn is_in_the_way(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::AlreadyExists
            | Kind::DirectoryNotEmpty
            | Kind::InvalidInput
            | Kind::InvalidFilename
            | Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
    )
}

/// Whether a scan tells of what is at a path.
fn can_be_seen(root: &Path, path: &str) -> bool {
    let is_seen = |meta: std::fs::Metadata| meta.is_dir() || meta.is_file() || meta.is_symlink();
    is_reached(root, path) && fs_err::symlink_metadata(root.join(path)).is_ok_and(is_seen)
}

/// Whether a path still is what was seen there.
fn is_still(root: &Path, path: &str, seen: Option<&Seen>) -> bool {
    let absolute = root.join(path);
    let Ok(meta) = fs_err::symlink_metadata(&absolute) else {
        return seen.is_none();
    };
    match seen.map(|seen| (&seen.known, seen.stat)) {
        None => false,
        Some((Known::Dir, _)) => meta.is_dir(),
        Some((Known::Symlink(target), _)) => {
            fs_err::read_link(&absolute).is_ok_and(|found| found.to_string_lossy() == *target)
        }
        Some((Known::File { .. }, Some(stat))) => meta.is_file() && Stat::of(&meta) == stat,
        Some((Known::File { blake3, .. }, None)) => {
            meta.is_file() && archive::hash(&absolute).is_ok_and(|hash| hash == *blake3)
        }
    }
}

/// Why nothing more comes down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownError {
    /// The server refuses, or stays away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The folder cannot be written.
    #[error("cannot write into the folder")]
    Disk(#[from] io::Error),
}
