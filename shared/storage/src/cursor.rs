//! Reading little-endian fields from untrusted bytes: every read is checked, and nothing is allocated by a declared
//! count before the bytes it needs are known to be there.

use drydock_domain::Digest;

use crate::StorageError;

/// A position in bytes that may end or lie at any point. `what` names the object in errors.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'a str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn corrupt(&self, reason: &'static str) -> StorageError {
        StorageError::corrupt(self.what, reason)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], StorageError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.corrupt("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// What was not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        self.take(N).map(|bytes| bytes.try_into().expect("took N bytes"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StorageError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StorageError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StorageError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, StorageError> {
        self.array().map(Digest::from_bytes)
    }

    /// A `u32` count of records of `record` bytes each, all of which must still follow.
    pub(crate) fn count(&mut self, record: usize) -> Result<usize, StorageError> {
        let count = self.u32()? as usize;
        if count.checked_mul(record).is_none_or(|needed| needed > self.rest.len()) {
            return Err(self.corrupt("it declares more records than it has room for"));
        }
        Ok(count)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), StorageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt("bytes are left over")) }
    }
}
