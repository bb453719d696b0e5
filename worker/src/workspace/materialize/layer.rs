//! The workspace as a mount: the version below, read-only and shared, and a layer above that takes what changes.
//!
//! ```text
//! <attempt>.layer/upper   what the agent changed: its changes can be read off it
//! <attempt>.layer/work    the kernel's
//! ```
//! `volatile`, because nothing in it outlives the attempt (the kernel then syncs nothing when it is unmounted);
//! `redirect_dir` and `metacopy`, so that renaming a directory or changing a mode copies no contents; `xino`, so that all
//! of it shows one device.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use drydock_files::open_directory;
use rustix::{
    fs::{CWD, Mode, fstat, mkdirat, syncfs},
    io::Errno,
    mount::MountAttrFlags,
};

use super::blocking;
use crate::{
    cache::Lower,
    kill_point::{KillPoint, pass},
    mount::{self, MountError, Mounting},
    workspace::{Scratch, WorkspaceError, detect::Sides, remove_tree},
};

const UPPER: &str = "upper";
const WORK: &str = "work";

/// A mounted workspace's other sides. What it is mounted over stays as long as its scratch directory.
#[derive(Debug)]
pub(crate) struct Layer {
    lower: PathBuf,
    upper: PathBuf,
    /// The workspace's top directory and the version's.
    identities: [Identity; 2],
}

type Identity = (u64, u64);

impl Layer {
    /// Opens what is needed to tell what changed in `workspace`.
    pub(crate) fn sides(&self, workspace: &OwnedFd) -> Result<Sides, WorkspaceError> {
        let open =
            |path: &Path| open_directory(path).map_err(WorkspaceError::io("open", path.as_os_str().as_encoded_bytes()));
        let (upper, lower) = (open(&self.upper)?, open(&self.lower)?);
        // Without either, all of the version would seem to be gone, or nothing to have changed.
        if [identity(workspace)?, identity(&lower)?] != self.identities {
            return Err(WorkspaceError::NotTheMount);
        }
        // The kernel syncs nothing of a volatile mount, but tells here whether the disk lost any of it.
        syncfs(workspace).map_err(WorkspaceError::io("keep what changed in", b""))?;
        Ok(Sides { upper, lower })
    }
}

fn identity(directory: &OwnedFd) -> Result<Identity, WorkspaceError> {
    let stat = fstat(directory).map_err(WorkspaceError::io("look at", b""))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Mounts the workspace of `scratch` over `lower`.
pub(super) async fn mount(scratch: &Scratch, lower: Arc<dyn Lower>) -> Result<Layer, WorkspaceError> {
    let (layer, workspace, door) = (scratch.layer(), scratch.workspace().to_owned(), scratch.door());
    blocking(move || {
        let mut inside = door.enter()?;
        let made = mount_fresh(&lower, &layer, &workspace);
        match made {
            Ok(_) => inside.pin(lower),
            // The kernel does not take a used one again; another rung begins anew.
            Err(_) => drop(remove_layer(&layer)),
        }
        made
    })
    .await
}

fn mount_fresh(lower: &Arc<dyn Lower>, layer: &Path, workspace: &Path) -> Result<Layer, WorkspaceError> {
    let upper = make(layer).map_err(|errno| unmade(layer, errno))?;
    mount_over(lower.path(), layer, workspace).map_err(WorkspaceError::Mount)?;
    pass(KillPoint::Mounted);
    let open =
        |path: &Path| open_directory(path).map_err(WorkspaceError::io("open", path.as_os_str().as_encoded_bytes()));
    let identities = [identity(&open(workspace)?)?, identity(&open(lower.path())?)?];
    Ok(Layer { lower: lower.path().to_owned(), upper, identities })
}

/// A full disk is no better for another rung; anything else may be.
fn unmade(layer: &Path, errno: Errno) -> WorkspaceError {
    match errno {
        Errno::NOSPC | Errno::DQUOT => WorkspaceError::io("make", layer.as_os_str().as_encoded_bytes())(errno),
        errno => WorkspaceError::Mount(MountError::of("overlay")(errno)),
    }
}

fn make(layer: &Path) -> rustix::io::Result<PathBuf> {
    mkdirat(CWD, layer, Mode::RWXU)?;
    let directory = open_directory(layer)?;
    mkdirat(&directory, UPPER, Mode::RWXU)?;
    mkdirat(&directory, WORK, Mode::RWXU)?;
    Ok(layer.join(UPPER))
}

fn remove_layer(layer: &Path) -> rustix::io::Result<()> {
    let parent = open_directory(layer.parent().unwrap_or(Path::new("/")))?;
    // What resists is reported when the attempt's directories go.
    let _leftovers = remove_tree(parent.as_fd(), layer.file_name().unwrap_or_default().as_encoded_bytes());
    Ok(())
}

fn mount_over(lower: &Path, layer: &Path, workspace: &Path) -> Result<(), MountError> {
    let handle = |path: &Path| mount::handle(path).map_err(MountError::of("overlay"));
    let (lower, upper, work) = (handle(lower)?, handle(&layer.join(UPPER))?, handle(&layer.join(WORK))?);
    Mounting::of("overlay")?
        .place("lowerdir", &lower)
        .place("upperdir", &upper)
        .place("workdir", &work)
        .flag("volatile")
        .option("redirect_dir", "on")
        .option("metacopy", "on")
        .option("xino", "on")
        .option("index", "off")
        .mount(handle(workspace)?.as_fd(), MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID)
}
