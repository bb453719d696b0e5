//! `Ladder`: which rungs this node allows, found by trying each once at start.

use std::{
    io::{self, Read as _},
    os::fd::AsFd as _,
    path::Path,
    sync::Arc,
};

use drydock_runtime::exit::chain;
use prometheus::IntCounterVec;
use rustix::fs::ioctl_ficlone;

use super::{Rung, layer};
use crate::{
    cache::{Lower, NodeCache},
    workspace::{ScratchRoot, WorkspaceError},
};

/// A rung that is not to be had here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which one.
    pub rung: Rung,
    /// Why, in the kernel's words.
    pub reason: String,
}

/// The rungs of this node, the best first; never empty.
#[derive(Debug)]
pub struct Ladder {
    rungs: Vec<Rung>,
    refused: Vec<Refused>,
    downgrades: IntCounterVec,
}

impl Ladder {
    /// Tries every rung on the real cache and scratch, or only `wanted`.
    ///
    /// # Errors
    /// The one that was asked for is refused.
    pub async fn probe(
        cache: &NodeCache,
        scratch: &ScratchRoot,
        wanted: Option<Rung>,
        downgrades: IntCounterVec,
    ) -> Result<Self, Refused> {
        let mut ladder = Self { rungs: Vec::new(), refused: Vec::new(), downgrades };
        for rung in Rung::ALL.into_iter().filter(|rung| wanted.is_none_or(|wanted| wanted == *rung)) {
            match try_out(rung, cache, scratch).await {
                Ok(()) => ladder.rungs.push(rung),
                Err(error) => ladder.refused.push(Refused { rung, reason: chain(&error) }),
            }
        }
        match (wanted, ladder.refused.first()) {
            (Some(_), Some(refused)) => Err(refused.clone()),
            _ => Ok(ladder),
        }
    }

    /// The rungs to take, in turn.
    pub fn rungs(&self) -> impl Iterator<Item = Rung> {
        self.rungs.iter().copied()
    }

    /// The one that is taken first.
    pub fn best(&self) -> Rung {
        self.rungs.first().copied().unwrap_or(Rung::Copy)
    }

    /// Those that are not to be had, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// One that was not tried.
    #[cfg(test)]
    pub(in crate::workspace) fn given(rungs: Vec<Rung>, downgrades: IntCounterVec) -> Self {
        Self { rungs, refused: Vec::new(), downgrades }
    }

    /// Jobs that one of them failed.
    #[cfg(test)]
    pub(in crate::workspace) fn downgrades(&self, rung: Rung) -> u64 {
        self.downgrades.with_label_values(&[rung.as_str()]).get()
    }

    /// A rung failed one job, which takes the next.
    pub(super) fn stumbled(&self, rung: Rung, error: &WorkspaceError) {
        self.downgrades.with_label_values(&[rung.as_str()]).inc();
        tracing::warn!(rung = %rung, "failed to make a workspace this way, taking the next rung: {}", chain(error));
    }
}

async fn try_out(rung: Rung, cache: &NodeCache, scratch: &ScratchRoot) -> Result<(), WorkspaceError> {
    match rung {
        Rung::Erofs => try_mount(scratch, cache.trial_image().await?).await,
        Rung::Overlay => try_mount(scratch, cache.trial_tree().await?).await,
        Rung::Reflink => {
            let (from, to) = (cache.directory().to_owned(), scratch.path().to_owned());
            super::blocking(move || try_reflink(&from, &to)).await
        }
        Rung::Copy => Ok(()),
    }
}

/// What agents do: write, read, and rename a directory of the version.
async fn try_mount(root: &ScratchRoot, lower: Arc<dyn Lower>) -> Result<(), WorkspaceError> {
    let scratch = root.create(drydock_domain::AttemptId::generate())?;
    let mounted = layer::mount(&scratch, lower).await;
    let workspace = scratch.workspace().to_owned();
    let used = match mounted {
        Ok(layer) => {
            super::blocking(move || {
                let used = use_it(&workspace);
                drop(layer);
                used.map_err(|source| WorkspaceError::Trial { source })
            })
            .await
        }
        Err(error) => Err(error),
    };
    scratch.close().await?;
    used
}

fn use_it(workspace: &Path) -> io::Result<()> {
    fs_err::write(workspace.join("new"), "new")?;
    fs_err::rename(workspace.join("directory"), workspace.join("renamed"))?;
    let mut content = String::new();
    fs_err::File::open(workspace.join("renamed/file"))?.read_to_string(&mut content)?;
    if content == "content" { Ok(()) } else { Err(io::Error::other("a file of the version reads as something else")) }
}

fn try_reflink(cache: &Path, scratch: &Path) -> Result<(), WorkspaceError> {
    let clone = || {
        let from = tempfile::tempfile_in(cache)?;
        rustix::io::pwrite(&from, &[1; 4096], 0)?;
        let to = tempfile::tempfile_in(scratch)?;
        Ok::<_, io::Error>(ioctl_ficlone(to.as_fd(), from.as_fd())?)
    };
    clone().map_err(|source| WorkspaceError::Trial { source })
}
