//! What the command says: data on standard output, everything else on standard error, and nothing mixed.

mod paint;
mod table;
mod text;

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

pub use self::{
    paint::Painter,
    table::Table,
    text::{mebibytes, one_line, seconds, time},
};
use crate::CliError;

/// Where a command writes.
#[derive(Debug, Default)]
pub struct Output {
    json: bool,
    quiet: bool,
    resume: Mutex<Option<String>>,
}

impl Output {
    /// As the command line asks.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, resume: Mutex::default() }
    }

    /// Whether data is the API's JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether people want to read how it goes.
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes data as it is.
    ///
    /// # Errors
    /// Nobody reads it, or it cannot be written.
    pub fn data(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// As for [`Self::data`].
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        self.data(format!("{text}\n").as_bytes())
    }

    /// Writes what the API said, or for people what `text` makes of it.
    ///
    /// # Errors
    /// As for [`Self::data`].
    pub fn answer(&self, raw: &[u8], text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json {
            let end: &[u8] = if raw.ends_with(b"\n") { b"" } else { b"\n" };
            return self.data(&[raw, end].concat());
        }
        self.line(text().trim_end_matches('\n'))
    }

    /// Tells how it goes, unless that is not wanted.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Tells what should be known in any case.
    pub fn warn(&self, text: &str) {
        // A standard error that is gone leaves nobody to tell.
        let _gone = writeln!(io::stderr().lock(), "{}", one_line(text));
    }

    /// Remembers the command that goes on where this one may be interrupted.
    pub fn resumable(&self, command: String) {
        *self.resume.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
    }

    /// That command.
    pub fn resume(&self) -> Option<String> {
        self.resume.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
