//! `Source`: something whose bytes become a file, and which can say whether they were still the same at the end.

use std::io::{self, Read};

/// Content of a file about to be stored.
pub trait Source {
    /// A reader at the first byte; called again when the content changed under the last one.
    fn open(&mut self) -> io::Result<impl Read>;

    /// Whether what the last reader gave is still what is there. Asked once, after its end.
    fn is_unchanged(&mut self) -> io::Result<bool>;
}

/// A reader that can be read once and does not change.
#[derive(Debug)]
pub struct Once<R>(pub R);

impl<R: Read> Source for Once<R> {
    fn open(&mut self) -> io::Result<impl Read> {
        Ok(&mut self.0)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
