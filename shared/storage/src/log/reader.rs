//! Reads parts of a sealed log.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::index::{Frame, LogIndex};
use crate::{ObjectKey, Storage, StorageError};

/// Fetched first from the end of the object: holds the index of logs up to 600 MiB.
const TAIL: u64 = 64 << 10;
/// Frames fetched ahead of the reader.
const AHEAD: usize = 2;

/// A sealed log with its index in memory.
#[derive(Clone, Debug)]
pub struct SealedLog {
    storage: Storage,
    key: ObjectKey,
    index: LogIndex,
}

impl SealedLog {
    /// Reads the index. A log that was empty was never stored: [`StorageError::NotFound`].
    pub async fn open(storage: &Storage, key: ObjectKey) -> Result<Self, StorageError> {
        let what = key.to_string();
        let mut tail = storage.get_tail(&key, TAIL).await?;
        let needed = LogIndex::len(&tail, &what)?;
        if needed > tail.len() as u64 {
            tail = storage.get_tail(&key, needed).await?;
        }
        let index = LogIndex::read(&tail, &what)?;
        Ok(Self { storage: storage.clone(), key, index })
    }

    /// Bytes of the log.
    pub fn len(&self) -> u64 {
        self.index.frames.last().map_or(0, Frame::end)
    }

    /// Whether there are none; never so for a stored log.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Newlines in the log.
    pub fn lines(&self) -> u64 {
        self.index.lines
    }

    /// A byte at or before the start of line `line` (counted from 0), and the number of newlines before that byte:
    /// from there, a reader skips at most one frame.
    pub fn seek_line(&self, line: u64) -> (u64, u64) {
        let after = self.index.frames.partition_point(|frame| frame.lines_before < line);
        let frame = after.checked_sub(1).map(|at| self.index.frames[at]);
        frame.map_or((0, 0), |frame| (frame.start, frame.lines_before))
    }

    /// The bytes of `range`, cut to the log's length.
    pub fn read(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + use<> {
        let first = self.index.frames.partition_point(|frame| frame.end() <= range.start);
        let last = self.index.frames.partition_point(|frame| frame.start < range.end);
        let frames = self.index.frames.get(first..last).unwrap_or_default().to_vec();
        let (storage, key) = (self.storage.clone(), self.key.clone());
        stream::iter(frames)
            .map(move |frame| {
                let (storage, key, range) = (storage.clone(), key.clone(), range.clone());
                async move {
                    let start = u64::from(frame.block.offset);
                    let stored = storage.get_range(&key, start..start + u64::from(frame.block.stored_len)).await?;
                    let raw = Bytes::from(frame.block.decode(&stored, key.as_str())?);
                    let from = range.start.max(frame.start) - frame.start;
                    let to = range.end.min(frame.end()) - frame.start;
                    Ok(raw.slice(from as usize..to as usize))
                }
            })
            .buffered(AHEAD)
    }
}

/// The bytes of `range` of the sealed log at `key`.
pub fn read_log(
    storage: &Storage,
    key: ObjectKey,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let storage = storage.clone();
    stream::once(async move { SealedLog::open(&storage, key).await })
        .map_ok(move |log| log.read(range.clone()))
        .try_flatten()
}
