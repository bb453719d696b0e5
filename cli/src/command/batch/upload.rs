//! A file of lines on its way to the API. A file can be read again, so what broke off is sent again: lines that had arrived are
//! the same jobs. Standard input cannot.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use drydock_client::{Client, ClientError, Document, views::Lines};
use drydock_runtime::Backoff;
use futures_util::{Stream, TryStreamExt as _, stream};
use reqwest::{Body, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, sleep},
};

use crate::{
    CliError,
    output::{Output, Progress, Unit},
};

/// How long an answer may take once all is sent; the server has much to write.
const LIMIT: Duration = Duration::from_secs(3600);
/// How long the server may be away in the middle of it.
const PATIENCE: Duration = Duration::from_secs(120);
const BLOCK: usize = 256 << 10;

/// Where the lines come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(std::path::PathBuf),
    Stdin,
}

/// What is said beside the lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) project: Option<String>,
    pub(super) more: bool,
    pub(super) check: bool,
}

/// Sends all lines, again where that is possible.
pub(super) async fn upload(
    client: &Client,
    output: &Arc<Output>,
    batch: &str,
    source: &Source,
    options: &Options,
) -> Result<Document<Lines>, CliError> {
    let end = Instant::now() + PATIENCE;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let error = match once(client, output, batch, source, options).await {
            Err(CliError::Client(error)) if error.is_transient() => error,
            outcome => return outcome,
        };
        let delay = error.retry_after().unwrap_or_default().max(backoff.next_delay());
        if matches!(source, Source::Stdin) || Instant::now() + delay > end {
            return Err(error.into());
        }
        output.note(&format!("{error}; sending it again, what arrived is not done twice"));
        sleep(delay).await;
    }
}

async fn once(
    client: &Client,
    output: &Arc<Output>,
    batch: &str,
    source: &Source,
    options: &Options,
) -> Result<Document<Lines>, CliError> {
    let body = match source {
        Source::File(path) => {
            let file = fs_err::tokio::File::open(path).await.map_err(CliError::Input)?;
            let total = file.metadata().await.map_err(CliError::Input)?.len();
            Body::wrap_stream(told(output, Some(total), blocks(file)))
        }
        Source::Stdin => Body::wrap_stream(told(output, None, blocks(tokio::io::stdin()))),
    };
    let call = client
        .post(["batches", batch, "jobs"])
        .limit(LIMIT)
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .query_opt("project_id", options.project.as_ref())
        .query_opt("more", options.more.then_some(true))
        .query_opt("check", options.check.then_some(true));
    let answer = call.stream_bytes(body).await.map_err(CliError::Client)?;
    client.read(answer).map_err(CliError::Client)
}

fn blocks(reader: impl AsyncRead + Send + Unpin + 'static) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(reader, async |mut reader| {
        let mut block = Vec::with_capacity(BLOCK);
        // Full blocks only: a pipe gives a few bytes at a time.
        let read = (&mut reader).take(BLOCK as u64).read_to_end(&mut block).await?;
        Ok((read > 0).then(|| (Bytes::from(block), reader)))
    })
}

fn told(
    output: &Arc<Output>,
    total: Option<u64>,
    blocks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let progress = Progress::begin(output, "sent", Unit::Bytes, total);
    blocks.inspect_ok(move |block| progress.add(block.len() as u64))
}

/// BLAKE3 of a file's bytes.
pub(super) async fn hash(path: &Path) -> Result<blake3::Hash, CliError> {
    let mut file = fs_err::tokio::File::open(path).await.map_err(CliError::Input)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block).await.map_err(CliError::Input)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&block[..read]),
        };
    }
}

/// The words of a refusal of the settings that go with a key.
pub(super) fn is_key_reused(error: &ClientError) -> bool {
    match error {
        ClientError::Refused(refusal) => {
            refusal.status == 422 && String::from_utf8_lossy(&refusal.body).contains("\"Idempotency-Key\"")
        }
        _ => false,
    }
}
