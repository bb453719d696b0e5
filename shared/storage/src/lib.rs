#![doc = include_str!("../README.md")]

mod cache;
mod columns;
mod config;
mod cursor;
mod delta;
mod error;
mod export;
#[cfg(test)]
mod golden;
mod import;
mod keys;
mod log;
pub mod manifest;
mod metrics;
pub mod pack;
mod read;
mod s3;
mod write;

pub use cache::ManifestCache;
pub use config::{Credentials, StorageConfig};
pub use delta::{Delta, StoredTree};
pub use error::{BoxError, StorageError, StorageErrorKind};
pub use export::{Format, Part, export};
pub use import::{Compression, change_tar, import_tar};
pub use keys::{Keys, ObjectKey};
pub use log::{SealedLog, SealedLogWriter, read_log};
pub use manifest::{Limits, Manifest};
pub use metrics::StorageMetrics;
pub use read::{FileStream, decode_block, fetch_block, read_file, read_pack, read_pack_once};
pub use s3::{Listed, Listing, Storage};
pub use write::{
    ChangeOptions, ChangeWriter, Once, PackInfo, PackRegistry, Source, TreeWriter, WriteOptions, Written,
    WrittenChanges, write_changes, write_tree,
};
