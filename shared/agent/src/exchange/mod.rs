//! The `.codex` folder of a workspace: writes the request, reads the result.
//!
//! The workspace holds whatever its author or the agent put there, so nothing here follows a link: `.codex` is opened with
//! `O_NOFOLLOW`, its files relative to that descriptor. What is in the way (a link, a file, a folder) is removed.

use std::{
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use drydock_domain::agent::{
    AgentRequest, AgentResult, AgentResultError, EXCHANGE_DIR, MAX_RESULT_BYTES, REQUEST_FILE, RESULT_FILE,
};
use drydock_files::{FileError, Kind, open_child, open_file, remove_tree, stat};
use rustix::{
    fs::{self, AtFlags, Mode, OFlags},
    io::Errno,
};

/// Why there is no usable result.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadResultError {
    #[error("the agent wrote no .codex/result.json")]
    Missing,
    #[error(".codex/result.json is a {0}, not a regular file")]
    NotAFile(&'static str),
    #[error(".codex/result.json cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the agent's result cannot be used")]
    Invalid(#[source] AgentResultError),
}

/// An open `.codex` folder.
pub(super) struct Exchange(OwnedFd);

impl Exchange {
    /// Opens the folder, making it where it is missing; says what was removed to make room for it.
    pub(super) fn open(workspace: &Path) -> io::Result<(Self, Option<&'static str>)> {
        let workspace = open_folder(fs::CWD, workspace.as_os_str().as_bytes())?;
        let mut removed = None;
        loop {
            match fs::mkdirat(&workspace, EXCHANGE_DIR, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match open_folder(workspace.as_fd(), EXCHANGE_DIR.as_bytes()) {
                Err(Errno::LOOP | Errno::NOTDIR) if removed.is_none() => {
                    removed = Some(kind_at(&workspace, EXCHANGE_DIR)?);
                    fs::unlinkat(&workspace, EXCHANGE_DIR, AtFlags::empty())?;
                }
                opened => return Ok((Self(opened?), removed)),
            }
        }
    }

    /// Opens the folder after a run. Makes the workspace anew when the agent removed it or put something else in its place,
    /// and says so.
    pub(super) fn reopen(workspace: &Path) -> io::Result<(Self, bool)> {
        let lost = match open_folder(fs::CWD, workspace.as_os_str().as_bytes()) {
            Err(Errno::NOENT) => true,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                fs::unlinkat(fs::CWD, workspace, AtFlags::empty())?;
                true
            }
            _ => false,
        };
        if lost {
            fs::mkdirat(fs::CWD, workspace, Mode::RWXU)?;
        }
        Ok((Self::open(workspace)?.0, lost))
    }

    /// Writes the request and removes a result of an earlier version.
    pub(super) fn begin(&self, request: &AgentRequest) -> io::Result<()> {
        self.remove(RESULT_FILE)?;
        self.write(REQUEST_FILE, &serde_json::to_vec_pretty(request)?)
    }

    /// Writes the result, with what the fleet knows of the run in it. Only when nothing of the agent runs any more.
    pub(super) fn write_result(&self, result: &AgentResult) -> io::Result<()> {
        self.write(RESULT_FILE, &serde_json::to_vec_pretty(result)?)
    }

    /// The agent's result, read to its limit and not a byte beyond. Only when nothing of the agent runs any more.
    pub(super) fn read_result(&self) -> Result<AgentResult, ReadResultError> {
        let file = match open_file(self.0.as_fd(), RESULT_FILE.as_bytes()) {
            Err(FileError::NotFound) => return Err(ReadResultError::Missing),
            Err(FileError::UnsupportedType(kind)) => return Err(ReadResultError::NotAFile(kind.word())),
            opened => opened.map_err(|error| ReadResultError::Unreadable(error.into()))?,
        };
        let bytes = file.head(MAX_RESULT_BYTES as u64 + 1).map_err(ReadResultError::Unreadable)?;
        AgentResult::from_slice(&bytes).map_err(ReadResultError::Invalid)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.remove(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o644))?;
        std::fs::File::from(file).write_all(bytes)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => match remove_tree(self.0.as_fd(), name.as_bytes()).first {
                None => Ok(()),
                Some((_, error)) => Err(error),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens a folder without following a link; one that its owner made inaccessible is made accessible again.
fn open_folder(parent: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_child(parent, path).map(|(folder, _)| folder)
}

fn kind_at(parent: &OwnedFd, name: &str) -> io::Result<&'static str> {
    Ok(Kind::of(&stat(parent.as_fd(), name)?).word())
}

#[cfg(test)]
mod tests;
