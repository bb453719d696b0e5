//! What a daemon keeps on disk, beside the folder and never in it: who it is, its token, what the folder was last alike with, and what
//! the fleet does not know yet. One daemon holds it at a time.

use std::{
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use drydock_domain::ProjectId;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

/// Below the user's own state directory.
const BELOW: &str = "drydock/daemons";
/// Characters of the folder's hash in a name.
const HASH: usize = 16;

/// The directory, held.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: fs_err::File,
    /// Who this daemon is to the fleet.
    pub(crate) instance: Uuid,
}

impl StateDir {
    /// Where it is by default: one for each folder and project.
    ///
    /// # Errors
    /// There is no home directory.
    pub(crate) fn default_path(project: ProjectId, folder: &Path) -> Result<PathBuf, StateError> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
        let hash = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
        let name = format!("{project}-{}", &hash[..HASH]);
        Ok(base.ok_or(StateError::NoHome)?.join(BELOW).join(name))
    }

    /// Makes it where it is missing, and takes it.
    ///
    /// # Errors
    /// It lies in the folder, another daemon has it, it is another project's, or the disk fails.
    pub(crate) fn open(path: &Path, folder: &Path, project: ProjectId) -> Result<Self, StateError> {
        let is_new = fs_err::symlink_metadata(path).is_err();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StateError::Disk)?;
        let path = fs_err::canonicalize(path).map_err(StateError::Disk)?;
        if path.starts_with(folder) || folder.starts_with(&path) {
            if is_new {
                // Empty still.
                let _left = fs_err::remove_dir(&path);
            }
            return Err(StateError::Inside { state: path });
        }
        let lock = fs_err::File::create(path.join("lock")).map_err(StateError::Disk)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(StateError::Held { folder: folder.to_owned(), state: path });
        }
        let kept = whose(&path.join("project"), project).map_err(StateError::Disk)?;
        if kept != project {
            return Err(StateError::Others { state: path, kept, project });
        }
        let instance = instance(&path.join("instance")).map_err(StateError::Disk)?;
        Ok(Self { path, _lock: lock, instance })
    }

    /// A place in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The token that an earlier run made.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn token(&self) -> io::Result<Option<SecretString>> {
        match fs_err::read_to_string(self.join("token")) {
            Ok(text) => Ok(Some(text.trim().into()).filter(|token: &SecretString| !token.expose_secret().is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a token for the runs to come.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn keep_token(&self, token: &SecretString) -> io::Result<()> {
        write_whole(&self.join("token"), token.expose_secret().as_bytes())
    }
}

/// Which project it is of: the first it was used for.
fn whose(path: &Path, project: ProjectId) -> io::Result<ProjectId> {
    match fs_err::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_whole(path, project.to_string().as_bytes())?;
            Ok(project)
        }
        Err(error) => Err(error),
    }
}

fn instance(path: &Path) -> io::Result<Uuid> {
    if let Some(known) = fs_err::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(known);
    }
    let new = Uuid::now_v7();
    write_whole(path, new.to_string().as_bytes())?;
    Ok(new)
}

/// Writes a file as a whole: what is there before stays until the new one is complete. For its owner alone.
///
/// # Errors
/// The disk fails.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    // Parts of a log come many a second; what is lost of them with the machine is only said.
    if !is_part(path) {
        file.sync_data()?;
    }
    fs_err::rename(&beside, path)
}

fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"log."))
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither variable is set.
    #[error("there is no place for the daemon's state: set HOME or XDG_STATE_HOME, or name one with --state-dir")]
    NoHome,
    /// It would be sent to the fleet.
    #[error("the state directory '{}' must not lie in the folder, nor the folder in it: name another with --state-dir", state.display())]
    Inside {
        /// Where it is.
        state: PathBuf,
    },
    /// There is a daemon for it already.
    #[error(
        "a daemon runs for '{}' already (it holds '{}'): stop that one first, or use it",
        folder.display(), state.join("lock").display()
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Its state.
        state: PathBuf,
    },
    /// Its token and all it keeps say nothing of this one.
    #[error(
        "the state directory '{}' is project {kept}'s, not {project}'s: name another one with --state-dir",
        state.display()
    )]
    Others {
        /// Where it is.
        state: PathBuf,
        /// Whose it is.
        kept: ProjectId,
        /// Who it was to be used for.
        project: ProjectId,
    },
    /// The disk fails.
    #[error("cannot keep the daemon's state")]
    Disk(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_daemon_holds_it_and_is_the_same_ever_after() {
        let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, project) = (state.path().join("a/b"), ProjectId::generate());
        let first = StateDir::open(&path, folder.path(), project).unwrap();
        let second = StateDir::open(&path, folder.path(), project).unwrap_err();
        assert!(matches!(second, StateError::Held { .. }), "{second}");
        assert!(second.to_string().contains("stop that one first"), "{second}");
        let instance = first.instance;
        first.keep_token(&"secret".into()).unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&first.join("token"))), (0o700, 0o600));
        drop(first);
        let again = StateDir::open(&path, folder.path(), project).unwrap();
        assert_eq!(again.instance, instance);
        assert_eq!(again.token().unwrap().unwrap().expose_secret(), "secret");
        drop(again);
        let other = StateDir::open(&path, folder.path(), ProjectId::generate()).unwrap_err();
        assert!(matches!(&other, StateError::Others { kept, .. } if *kept == project), "{other}");
        assert!(StateDir::open(&path, folder.path(), project).is_ok());
    }

    #[test]
    fn it_never_lies_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (root, project) = (fs_err::canonicalize(folder.path()).unwrap(), ProjectId::generate());
        for inside in [root.join("state"), root.clone()] {
            assert!(
                matches!(StateDir::open(&inside, &root, project), Err(StateError::Inside { .. })),
                "{}",
                inside.display()
            );
        }
        assert_eq!(fs_err::read_dir(&root).unwrap().count(), 0, "nor is anything made there");
        let sibling = tempfile::Builder::new().prefix(root.file_name().unwrap()).tempdir_in(root.parent().unwrap());
        assert!(StateDir::open(sibling.unwrap().path(), &root, project).is_ok(), "a longer name is another place");
    }
}
