//! The project's `.drydockignore` at work on one look at its workspace.
//!
//! Owns what Git's users expect of it: the file counts that lies there now, rules stop additions only, and what the version has
//! stays in it, to be changed and removed as ever. An ignored directory that the version does not have is never opened.

use std::os::fd::{AsFd as _, OwnedFd};

use drydock_domain::{IGNORE_FILE, IGNORE_FILE_MAX, IgnoreFlaw, IgnoreRules, RelativePath, agent::EXCHANGE_DIR};
use drydock_files::{FileError, open_file};

use crate::workspace::WorkspaceError;

/// What becomes of new entries of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The rules are asked for each.
    Open,
    /// All are ignored, whatever rules say of them.
    Ignored,
}

/// How to go on with an entry: the standing of what is in it, or `None` for one to be left out, whole and unseen.
pub(super) fn judge(
    rules: &IgnoreRules,
    within: Standing,
    path: &RelativePath,
    is_dir: bool,
    is_tracked: impl FnOnce() -> bool,
) -> Option<Standing> {
    if path.is_protocol_file() || (within == Standing::Open && !rules.matches(path, is_dir)) {
        return Some(Standing::Open);
    }
    // The protocol's directory is always there, and nothing that anybody left out.
    let is_exchange = is_dir && path.as_bytes() == EXCHANGE_DIR.as_bytes();
    (is_exchange || is_tracked()).then_some(Standing::Ignored)
}

/// The rules of the workspace `top`, and what of them is not heeded. Blocking.
pub(in crate::workspace) fn rules(top: &OwnedFd) -> Result<(IgnoreRules, Vec<IgnoreFlaw>), WorkspaceError> {
    let failed = |error: std::io::Error| WorkspaceError::of_file("read", IGNORE_FILE.to_owned(), error);
    let file = match open_file(top.as_fd(), IGNORE_FILE.as_bytes()) {
        Ok(file) => file,
        Err(FileError::NotFound) => return Ok((IgnoreRules::built_in(), Vec::new())),
        // A symlink, a socket; what we may not open is no regular file either.
        Err(FileError::UnsupportedType(_) | FileError::Forbidden) => {
            return Ok((IgnoreRules::built_in(), vec![IgnoreFlaw::NoFile]));
        }
        Err(error) => return Err(failed(error.into())),
    };
    let bytes = file.head(IGNORE_FILE_MAX as u64 + 1).map_err(failed)?;
    Ok(IgnoreRules::parse(&bytes))
}
