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
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{Mode, mkdirat},
    mount::MountAttrFlags,
};

use super::blocking;
use crate::{
    cache::Lower,
    mount::{self, MountError, Mounting},
    workspace::{Scratch, WorkspaceError, directory::open_top},
};

const UPPER: &str = "upper";
const WORK: &str = "work";

/// A mounted workspace's two sides.
#[derive(Debug)]
pub(crate) struct Layer {
    lower: Arc<dyn Lower>,
    upper: PathBuf,
}

impl Layer {
    /// The version it started from.
    pub(crate) fn lower(&self) -> &Path {
        self.lower.path()
    }

    /// What changed.
    pub(crate) fn upper(&self) -> &Path {
        &self.upper
    }
}

/// Mounts the workspace of `scratch` over `lower`, which stays as long as the answer is held.
pub(super) async fn mount(scratch: &Scratch, lower: Arc<dyn Lower>) -> Result<Layer, WorkspaceError> {
    let (layer, workspace) = (scratch.layer(), scratch.workspace().to_owned());
    blocking(move || {
        let upper = make(&layer)?;
        mount_over(lower.path(), &layer, &workspace).map_err(WorkspaceError::Mount)?;
        Ok(Layer { lower, upper })
    })
    .await
}

fn make(layer: &Path) -> Result<PathBuf, WorkspaceError> {
    let failed = WorkspaceError::io("create", layer.as_os_str().as_encoded_bytes());
    let made = || {
        let exists = |made: rustix::io::Result<()>| {
            made.or_else(|errno| if errno == rustix::io::Errno::EXIST { Ok(()) } else { Err(errno) })
        };
        exists(mkdirat(rustix::fs::CWD, layer, Mode::RWXU))?;
        let directory = open_top(layer)?;
        exists(mkdirat(&directory, UPPER, Mode::RWXU))?;
        exists(mkdirat(&directory, WORK, Mode::RWXU))
    };
    made().map_err(failed)?;
    Ok(layer.join(UPPER))
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
