#![doc = include_str!("../README.md")]

mod cache;
mod config;
mod cursor;
mod error;
mod export;
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
pub use error::{BoxError, StorageError, StorageErrorKind};
pub use export::{Format, Part, export};
pub use import::{Compression, import_tar};
pub use keys::{Keys, ObjectKey};
pub use log::{SealedLog, SealedLogWriter, read_log};
pub use manifest::{Limits, Manifest};
pub use metrics::StorageMetrics;
pub use read::{FileStream, decode_block, fetch_block, read_file};
pub use s3::Storage;
pub use write::{Once, PackInfo, PackRegistry, Source, TreeWriter, WriteOptions, Written, write_tree};
