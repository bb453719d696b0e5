//! Changes of the folder as one version: one `PATCH`, which counts as a whole or not at all, and only while the version that they
//! were compared with is the newest.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use drydock_client::{Client, ClientError, views::FilesChange};
use futures_util::StreamExt as _;
use reqwest::{Body, StatusCode, header};

use super::{batch::Batch, error::SyncError};
use crate::archive::{self, Known};

/// How long the upload may take; the server has a limit of its own.
const LIMIT: Duration = Duration::from_secs(3600);

/// What came of it.
#[derive(Debug)]
pub(crate) enum Sent {
    /// This version has it.
    Made {
        /// Its number.
        version: u64,
        /// What was put, as it was read.
        put: Vec<(String, Known)>,
    },
    /// Another version is the newest, or a file was gone before it was read.
    Stale,
}

/// Sends a batch on top of version `base`.
///
/// # Errors
/// The server refuses, or stays away.
pub(crate) async fn send(
    client: &Client,
    project: &str,
    root: &Path,
    base: u64,
    batch: &Batch,
) -> Result<Sent, SyncError> {
    let put = Arc::new(Mutex::new(Vec::new()));
    let (kept, root) = (Arc::clone(&put), root.to_owned());
    let Batch { removals, puts } = batch.clone();
    let (blocks, thread) = archive::stream_of(move |out| {
        let mut told = |path: &Path, known| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((path.to_string_lossy().into_owned(), known));
        };
        archive::write_changes(&root, &removals, puts.iter(), out, &mut told)
    });
    let call = client.patch(["projects", project, "files"]).query("while_running", true).once_only().limit(LIMIT);
    let call = call.header(header::IF_MATCH, &format!("\"{base}\"")).header(header::CONTENT_TYPE, "application/x-tar");
    let answer = call.stream_bytes(Body::wrap_stream(blocks.boxed())).await;
    let written = thread.await.map_err(std::io::Error::other)?;
    match answer {
        Ok(raw) => {
            written?;
            let change: FilesChange = client.read(raw)?.value;
            let put = std::mem::take(&mut *put.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(Sent::Made { version: change.version, put })
        }
        Err(ClientError::Refused(refusal))
            if matches!(refusal.status, StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT) =>
        {
            Ok(Sent::Stale)
        }
        // What broke the request off was our own reading: somebody is at work in the folder.
        Err(ClientError::Broken { .. }) if is_fleeting(&written) => Ok(Sent::Stale),
        Err(error) => Err(error.into()),
    }
}

fn is_fleeting(written: &std::io::Result<archive::Totals>) -> bool {
    written.as_ref().is_err_and(|error| {
        error.kind() == std::io::ErrorKind::NotFound || error.to_string().contains("became shorter")
    })
}
