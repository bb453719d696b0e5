//! `Metered`: bounds how much the tar parser may swallow between two entries.
//!
//! The parser reads long names and extension headers whole into memory, as long as the archive says they are. A
//! budget, refilled with the size of each accepted entry, makes an absurd one an error instead.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// Room for headers, long names and padding between two contents.
const METADATA: u64 = 1 << 20;

pub(super) struct Metered<R> {
    inner: R,
    left: Budget,
}

/// The other end of a [`Metered`].
#[derive(Clone)]
pub(super) struct Budget(Rc<Cell<u64>>);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Rc::new(Cell::new(METADATA)))
    }

    /// An entry with this much content follows.
    pub(super) fn allow(&self, content: u64) {
        self.0.set(content.saturating_add(METADATA));
    }
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R, left: Budget) -> Self {
        Self { inner, left }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = &self.left.0;
        if left.get() == 0 && !buf.is_empty() {
            return Err(io::Error::other("an entry's name or extension header is far too long"));
        }
        let most = usize::try_from(left.get()).unwrap_or(usize::MAX).min(buf.len());
        let read = self.inner.read(&mut buf[..most])?;
        left.set(left.get() - read as u64);
        Ok(read)
    }
}
