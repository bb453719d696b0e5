//! What the command says: data on standard output, everything else on standard error, and nothing mixed.

mod format;
mod paint;
mod progress;
mod table;
mod terminal;
mod text;

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;

pub use self::{
    format::Format,
    paint::Painter,
    progress::{Progress, Unit},
    table::Table,
    terminal::Terminal,
    text::{mebibytes, one_line, seconds, standing, time},
};
use crate::CliError;

/// Where a command writes.
#[derive(Debug, Default)]
pub struct Output {
    format: Format,
    quiet: bool,
    terminal: Terminal,
    resume: Mutex<Option<String>>,
    /// The bar that lines on standard error must not run into.
    bar: Mutex<Option<ProgressBar>>,
}

impl Output {
    /// As the command line asks.
    pub fn new(format: Format, quiet: bool, terminal: Terminal) -> Self {
        Self { format, quiet, terminal, resume: Mutex::default(), bar: Mutex::default() }
    }

    /// The form of data.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether data is for programs.
    pub fn is_structured(&self) -> bool {
        self.format != Format::Table
    }

    /// What is at the other end.
    pub const fn terminal(&self) -> Terminal {
        self.terminal
    }

    fn show(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
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

    /// Writes what the API said in the form that is asked for, or for people what `text` makes of it.
    ///
    /// # Errors
    /// As for [`Self::data`].
    pub fn answer(&self, raw: &[u8], text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.is_structured() {
            return self.data(&self.format.render(raw));
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
        self.err(&one_line(text));
    }

    /// Tells a program what went wrong, in the form of data.
    pub fn failure(&self, body: &[u8]) {
        self.err(String::from_utf8_lossy(&self.format.render(body)).trim_end());
    }

    fn err(&self, text: &str) {
        // A standard error that is gone leaves nobody to tell.
        let write = || drop(writeln!(io::stderr().lock(), "{text}"));
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
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
