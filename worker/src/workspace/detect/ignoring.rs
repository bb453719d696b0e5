//! The project's `.drydockignore` at work on one look at its workspace.
//!
//! Owns what Git's users expect of it: the file counts that lies there now, rules stop additions only, and what the version has
//! stays in it, to be changed and removed as ever. An ignored directory that the version does not have is never opened.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
};

use drydock_domain::{IGNORE_FILE, IGNORE_FILE_MAX, IgnoreFlaw, IgnoreRules, RelativePath, agent::EXCHANGE_DIR};
use rustix::{
    fs::{FileType, fstat},
    io::Errno,
};

use crate::workspace::{WorkspaceError, directory::open_file};

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
    let failed = || WorkspaceError::io("read", IGNORE_FILE.as_bytes());
    let no_file = || Ok((IgnoreRules::built_in(), vec![IgnoreFlaw::NoFile]));
    let file = match open_file(top.as_fd(), IGNORE_FILE.as_bytes()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok((IgnoreRules::built_in(), Vec::new())),
        // A symlink, a socket; what we may not open is no regular file either.
        Err(Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return no_file(),
        Err(errno) => return Err(failed()(errno)),
    };
    if FileType::from_raw_mode(fstat(&file).map_err(failed())?.st_mode) != FileType::RegularFile {
        return no_file();
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(IGNORE_FILE_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| WorkspaceError::Io { operation: "read", path: IGNORE_FILE.to_owned(), source })?;
    Ok(IgnoreRules::parse(&bytes))
}
