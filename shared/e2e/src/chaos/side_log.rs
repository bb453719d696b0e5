//! The agents' own account, written where no worker can touch it: one line per sign of life, appended whole.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Millis;

/// What an agent tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The program began.
    Start,
    /// It is still working.
    Beat,
    /// It has changed its workspace.
    Effect,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The job.
    pub(crate) job: Uuid,
    /// The try, by its id.
    pub(crate) attempt: Uuid,
    /// The try, by its number.
    pub(crate) number: i16,
    /// What happened.
    pub(crate) event: Event,
    /// When.
    pub(crate) at: Millis,
    /// Who says so.
    pub(crate) pid: u32,
}

/// Appends a line in one write, which the kernel never mixes with another's.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn append(path: &Path, line: &Line) -> Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut file = std::fs::File::options().create(true).append(true).open(path).context("open the side log")?;
    file.write_all(text.as_bytes()).context("write the side log")
}

/// Reads all lines; none where no agent ever started.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs_err::read_to_string(path)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("side log: {line}"))).collect()
}
