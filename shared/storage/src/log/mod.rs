//! Sealed logs: what an attempt printed, as one object of independent zstd frames with an index by byte and by line.
//! The layout is in this crate's FORMATS.md. A log still being written is not here: it lives in rows and segments.

mod index;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use index::LogIndex;
pub use reader::{SealedLog, read_log};
pub use writer::SealedLogWriter;

/// Raw bytes of one frame at most: what a reader of one line has to fetch and decode.
const FRAME_MAX: usize = 256 << 10;
