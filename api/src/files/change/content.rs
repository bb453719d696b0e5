//! An uploaded file, whole before anything is made of it: in memory while it is small, else on disk. It may be read again when the
//! head moves meanwhile, and a client that is slow holds nothing up but itself.

use std::io::{self, Cursor, Read, Seek as _};

use axum::body::Body;
use bytes::Bytes;
use drydock_domain::Digest;
use drydock_storage::Source;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, Limited};
use tokio::io::AsyncWriteExt as _;

use crate::{error::ApiError, packs, state::App};

/// Most bytes held in memory.
const HELD: usize = 1 << 20;

/// A content of known size and hash.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) digest: Digest,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Memory(Bytes),
    /// Has no name, and is gone with the last handle.
    Disk(std::fs::File),
}

impl Content {
    /// Takes a body to its end.
    pub(super) async fn take(app: &App, body: Body) -> Result<Self, ApiError> {
        let timeout = app.config.import_timeout;
        let late = || ApiError::BadRequest(format!("The file did not arrive within {}s", timeout.as_secs()).into());
        tokio::time::timeout(timeout, spool(app, body)).await.map_err(|_| late())?
    }

    /// A reader of its own, for one write.
    pub(super) fn again(&self) -> io::Result<Reading> {
        Ok(match &self.place {
            Place::Memory(bytes) => Reading::Memory(bytes.clone()),
            Place::Disk(file) => Reading::Disk(file.try_clone()?),
        })
    }
}

async fn spool(app: &App, body: Body) -> Result<Content, ApiError> {
    let limit = app.config.file_limit;
    let mut parts = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).into_data_stream();
    let (mut hasher, mut size, mut held) = (blake3::Hasher::new(), 0_u64, Vec::new());
    let mut file: Option<tokio::fs::File> = None;
    while let Some(part) = parts.try_next().await.map_err(|error| broken(error.as_ref(), limit))? {
        hasher.update(&part);
        size += part.len() as u64;
        held.extend_from_slice(&part);
        if held.len() > HELD {
            let file = match &mut file {
                Some(file) => file,
                None => file.insert(unnamed(app)?),
            };
            file.write_all(&held).await.map_err(disk)?;
            held.clear();
        }
    }
    let place = match file {
        None => Place::Memory(held.into()),
        Some(mut file) => {
            file.write_all(&held).await.map_err(disk)?;
            file.flush().await.map_err(disk)?;
            Place::Disk(file.into_std().await)
        }
    };
    Ok(Content { size, digest: hasher.finalize().into(), place })
}

fn unnamed(app: &App) -> Result<tokio::fs::File, ApiError> {
    tempfile::tempfile_in(&app.config.temp_dir).map(tokio::fs::File::from_std).map_err(disk)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn disk(error: io::Error) -> ApiError {
    ApiError::Internal(format!("failed to keep an upload in DRYDOCK_API_TEMP_DIR: {error}"))
}

fn broken(error: &(dyn std::error::Error + 'static), limit: u64) -> ApiError {
    if packs::is_too_long(error) {
        return ApiError::TooLarge(format!("The file should have at most {limit} bytes").into());
    }
    ApiError::BadRequest("The body broke off before its end".into())
}

/// One reading of a content.
#[derive(Debug)]
pub(super) enum Reading {
    Memory(Bytes),
    Disk(std::fs::File),
}

impl Source for Reading {
    fn open(&mut self) -> io::Result<impl Read> {
        let reader: Box<dyn Read> = match self {
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
            Self::Disk(file) => {
                file.rewind()?;
                Box::new(file.try_clone()?)
            }
        };
        Ok(reader)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
