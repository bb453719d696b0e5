//! Where evidence goes: `<out>/<UTC ISO 8601>/live/<check>/`. Nothing is ever removed or written over.

use std::{
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use chrono::{SecondsFormat, Utc};
use tokio::time::sleep;

/// One run's directory.
pub(super) struct Evidence {
    root: PathBuf,
}

/// One check's directory.
pub(super) struct Place {
    path: PathBuf,
}

impl Evidence {
    pub(super) async fn create(out: &Path) -> Result<Self> {
        fs_err::create_dir_all(out)?;
        let run = loop {
            let run = out.join(Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
            match fs_err::create_dir(&run) {
                // Another run has this second; the next is not far.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    sleep(Duration::from_millis(100)).await;
                }
                made => break made.map(|()| run)?,
            }
        };
        let root = run.join("live");
        fs_err::create_dir(&root)?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn check(&self, id: &str) -> Result<Place> {
        let path = self.root.join(id);
        fs_err::create_dir(&path)?;
        Ok(Place { path })
    }

    /// Adds to `summary.txt`.
    pub(super) fn summary(&self, text: &str) -> Result<()> {
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(self.root.join("summary.txt"))?;
        Ok(file.write_all(text.as_bytes())?)
    }
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        Ok(fs_err::write(self.path.join(name), content)?)
    }
}
