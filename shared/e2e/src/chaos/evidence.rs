//! What stays of a run: the services' logs, the plan and what came of it, the side log, the rows, the verdict.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The run's directory.
pub(crate) struct Evidence {
    directory: PathBuf,
    deeds: Mutex<std::fs::File>,
}

impl Evidence {
    /// An empty directory at `directory`.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let directory = std::path::absolute(directory)?;
        if directory.exists() {
            fs_err::remove_dir_all(&directory)?;
        }
        fs_err::create_dir_all(&directory)?;
        let deeds = std::fs::File::create(directory.join("deeds.jsonl")).context("deeds.jsonl")?;
        Ok(Self { directory, deeds: Mutex::new(deeds) })
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where agents write.
    pub(crate) fn side_log(&self) -> PathBuf {
        self.directory.join("side.log")
    }

    /// Notes what was done, at once: a run that is killed leaves it too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn deed(&self, deed: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(deed)?;
        line.push('\n');
        let mut file = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).context("deeds.jsonl")
    }

    /// Writes a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        Ok(fs_err::write(self.directory.join(name), content)?)
    }
}
