//! The `.codex` folder of a workspace: writes the request, reads the result.
//!
//! The workspace holds whatever its author or the agent put there, so nothing here follows a link: `.codex` is opened with
//! `O_NOFOLLOW`, its files relative to that descriptor. What is in the way (a link, a file, a folder) is removed.

use std::{
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use drydock_domain::agent::{
    AgentRequest, AgentResult, AgentResultError, EXCHANGE_DIR, MAX_RESULT_BYTES, REQUEST_FILE, RESULT_FILE,
};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags},
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
        let workspace = open_directory(fs::CWD, workspace)?;
        let mut removed = None;
        loop {
            match fs::mkdirat(&workspace, EXCHANGE_DIR, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match open_directory(&workspace, Path::new(EXCHANGE_DIR)) {
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
        let lost = match open_directory(fs::CWD, workspace) {
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

    /// The agent's result, read to its limit and not a byte beyond.
    pub(super) fn read_result(&self) -> Result<AgentResult, ReadResultError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let unreadable = |error: Errno| ReadResultError::Unreadable(error.into());
        let file = match fs::openat(&self.0, RESULT_FILE, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Err(ReadResultError::Missing),
            Err(Errno::LOOP) => return Err(ReadResultError::NotAFile("symbolic link")),
            opened => opened.map_err(unreadable)?,
        };
        let kind = FileType::from_raw_mode(fs::fstat(&file).map_err(unreadable)?.st_mode);
        if kind != FileType::RegularFile {
            return Err(ReadResultError::NotAFile(word(kind)));
        }
        let mut bytes = Vec::new();
        let mut limited = std::fs::File::from(file).take(MAX_RESULT_BYTES as u64 + 1);
        limited.read_to_end(&mut bytes).map_err(ReadResultError::Unreadable)?;
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
            // The descriptor's own path in /proc leads to the folder that was checked, whatever its name leads to now.
            Err(Errno::ISDIR) => fs_err::remove_dir_all(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Opens a folder without following a link; one that its owner made unreadable is made readable again.
fn open_directory(parent: impl std::os::fd::AsFd, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::openat(&parent, path, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            fs::chmodat(&parent, path, Mode::RWXU, AtFlags::empty())?;
            fs::openat(&parent, path, flags, Mode::empty())
        }
        opened => opened,
    }
}

fn kind_at(parent: &OwnedFd, name: &str) -> io::Result<&'static str> {
    let stat = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(word(FileType::from_raw_mode(stat.st_mode)))
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "symbolic link",
        FileType::Directory => "folder",
        FileType::Fifo => "named pipe",
        FileType::RegularFile => "file",
        _ => "special file",
    }
}

#[cfg(test)]
mod tests;
