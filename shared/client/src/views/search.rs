//! What a search in logs finds.

use serde::Deserialize;

/// Lines of one log that match.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// In order.
    pub items: Vec<Hit>,
    /// Matching lines from the beginning of the log, as far as it was counted.
    pub total: u64,
    /// Everything that is there was counted.
    pub complete: bool,
    /// Where to go on.
    pub next_cursor: Option<String>,
}

/// A line that matches.
#[derive(Clone, Debug, Deserialize)]
pub struct Hit {
    /// Its number, from 1.
    pub line: u64,
    /// Its first byte in the log.
    pub offset: u64,
    /// Its text, or a part of it.
    pub text: String,
    /// Where `text` matches, in bytes.
    pub ranges: Vec<(usize, usize)>,
    /// There is more of the line.
    #[serde(default)]
    pub cut: bool,
}

/// Jobs of a batch that printed it.
#[derive(Clone, Debug, Deserialize)]
pub struct BatchFound {
    /// In the order of the file.
    pub items: Vec<JobFound>,
    /// Jobs whose logs could not be read.
    pub unreadable: Vec<String>,
    /// Where to go on.
    pub next_cursor: Option<String>,
}

/// A job that printed it.
#[derive(Clone, Debug, Deserialize)]
pub struct JobFound {
    /// The line of the batch.
    pub line: u32,
    /// The job.
    pub job_id: String,
    /// Its status.
    pub status: String,
    /// Lines of its log that match.
    pub total: u64,
    /// The first of them.
    pub first: Hit,
}
