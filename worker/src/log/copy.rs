//! The copy of a log that becomes its one object. A log small enough to stay in its rows for good makes none: neither a
//! compressor nor a file until it has outgrown them.

use std::path::Path;

use bytes::BytesMut;
use drydock_database::log_chunk::MAX_INLINE;
use drydock_storage::{SealedLogWriter, StorageError};

/// Everything written to a log so far.
pub(super) enum Copy {
    /// At most one row's worth.
    Small(BytesMut),
    /// More: compressed, in a file.
    Large(SealedLogWriter),
    /// It failed: the dispatcher seals from the rows.
    Lost,
}

impl Copy {
    pub(super) fn new() -> Self {
        Self::Small(BytesMut::new())
    }

    /// Appends; `directory` is where the file is made when one is needed.
    pub(super) fn push(&mut self, bytes: &[u8], directory: &Path) {
        if let Err(error) = self.try_push(bytes, directory) {
            tracing::warn!("failed to write a log file: {}", drydock_runtime::exit::chain(&error));
            *self = Self::Lost;
        }
    }

    /// What becomes an object, if anything does.
    pub(super) fn into_large(self) -> Option<SealedLogWriter> {
        match self {
            Self::Large(sealed) => Some(sealed),
            Self::Small(_) | Self::Lost => None,
        }
    }

    fn try_push(&mut self, bytes: &[u8], directory: &Path) -> Result<(), StorageError> {
        match self {
            Self::Small(small) if small.len() + bytes.len() <= MAX_INLINE => small.extend_from_slice(bytes),
            Self::Small(small) => {
                let mut sealed = SealedLogWriter::create(directory)?;
                sealed.push(small)?;
                sealed.push(bytes)?;
                *self = Self::Large(sealed);
            }
            Self::Large(sealed) => sealed.push(bytes)?,
            Self::Lost => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_outgrows_a_row_makes_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let files = || fs_err::read_dir(directory.path()).unwrap().count();
        let mut copy = Copy::new();
        copy.push(&[b'x'; MAX_INLINE - 1], directory.path());
        copy.push(b"y", directory.path());
        assert_eq!(files(), 0);
        copy.push(b"z", directory.path());
        assert_eq!(files(), 1);
        copy.push(b"\n", directory.path());
        assert_eq!(copy.into_large().unwrap().len(), MAX_INLINE as u64 + 2);
        let mut copy = Copy::new();
        copy.push(&[b'x'; MAX_INLINE], directory.path());
        assert!(copy.into_large().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_made_loses_the_copy_alone() {
        let mut copy = Copy::new();
        copy.push(&[b'x'; MAX_INLINE + 1], Path::new("/nowhere"));
        copy.push(b"x", Path::new("/nowhere"));
        assert!(matches!(copy, Copy::Lost));
    }
}
