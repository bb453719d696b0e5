//! The task behind a log: gathers for up to `log_flush`, then writes rows of at most 32 KiB, or one segment in object storage
//! above 1 MiB/s or 8 MiB, and everything once more into the copy that becomes the sealed object where rows are not enough.
//! What has gathered at the end, if it fits one row, is left to the transaction that ends the attempt.

use std::time::Duration;

use bytes::Bytes;
use drydock_database::{DatabaseError, attempt, job, log_chunk, report::LogTail, wake::Channel};
use drydock_domain::{AttemptId, TenantId};
use drydock_runtime::Backoff;
use drydock_storage::{SealedLogWriter, StorageError, StorageErrorKind};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Entry, Rest,
    buffer::Buffer,
    cap::{Cap, Verdict},
    copy::Copy,
};
use crate::context::Context;

/// Bytes of one attempt that may stand in rows; what follows goes to object storage.
const INLINE_TOTAL: i64 = 8 << 20;
/// Bytes of one flush that may go to rows: 1 MiB/s at the default flush interval.
const INLINE_FLUSH: usize = 128 << 10;
/// How often a flush is tried before the log is given up; an outage gets more patience.
const TRIES: u32 = 8;

/// Why a log could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("cannot write the job's log to PostgreSQL")]
    Database(#[from] DatabaseError),
    #[error("cannot write the job's log to object storage")]
    Storage(#[from] StorageError),
    #[error("the job's log has ended")]
    Gone,
}

impl LogError {
    /// Whether the same may work later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Database(error) => error.is_unavailable(),
            Self::Storage(error) => error.kind() == StorageErrorKind::Unavailable,
            Self::Gone => false,
        }
    }
}

/// Whose log it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) tenant: TenantId,
    pub(super) attempt: AttemptId,
}

/// A log whose one object is still to be stored.
pub(crate) struct SealedLater {
    context: Context,
    owner: Owner,
    sealed: SealedLogWriter,
    /// Segments that the one object replaces.
    segments: Vec<u64>,
}

pub(super) struct Writer {
    context: Context,
    owner: Owner,
    buffer: Buffer,
    cap: Cap,
    seq: i32,
    offset: i64,
    copy: Copy,
    failed: Option<LogError>,
    segments: Vec<u64>,
}

impl Writer {
    pub(super) fn new(context: Context, owner: Owner) -> Self {
        let cap = Cap::new(context.config.log_cap_bytes);
        Self {
            context,
            owner,
            buffer: Buffer::default(),
            cap,
            seq: 0,
            offset: 0,
            copy: Copy::new(),
            failed: None,
            segments: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) -> Option<SealedLater> {
        let mut due: Option<Instant> = None;
        loop {
            let entry = tokio::select! {
                entry = entries.recv() => entry,
                () = until(due) => {
                    due = None;
                    self.flush().await;
                    continue;
                }
            };
            match entry {
                None => break,
                Some(Entry::Finish(answer)) => {
                    due = None;
                    let rest = self.finish().await;
                    let _nobody_waits = answer.send(rest);
                }
                Some(entry) => {
                    self.accept(entry);
                    if self.buffer.is_full() {
                        self.flush().await;
                    }
                }
            }
            if due.is_none() && !self.buffer.is_empty() {
                due = Some(Instant::now() + self.context.config.log_flush);
            }
        }
        self.flush().await;
        let sealed = self.copy.into_large()?;
        Some(SealedLater { context: self.context, owner: self.owner, sealed, segments: self.segments })
    }

    fn accept(&mut self, entry: Entry) {
        match entry {
            Entry::Line(line) => match self.cap.judge(&line) {
                Verdict::Keep => self.buffer.line(&line),
                Verdict::Announce(marker) => self.buffer.line(marker.as_bytes()),
                Verdict::Drop => {}
            },
            Entry::Progress(text) => self.buffer.progress(text),
            Entry::Finish(_) => {}
        }
    }

    async fn finish(&mut self) -> Result<Rest, LogError> {
        if let Some(summary) = self.cap.summary() {
            self.buffer.line(summary.as_bytes());
        }
        self.context.metrics.log_bytes_dropped.inc_by(self.cap.dropped());
        if !self.buffer.fits_row() {
            self.flush().await;
        }
        if let Some(failed) = self.failed.take() {
            self.buffer.take();
            return Err(failed);
        }
        let (bytes, progress) = self.buffer.take();
        let tail = (!bytes.is_empty()).then(|| LogTail { seq: self.seq, offset: self.offset, data: bytes.to_vec() });
        self.written(&bytes, usize::from(tail.is_some()));
        Ok(Rest { bytes: self.offset, tail, progress })
    }

    /// Writes what has gathered, trying again while the database or storage is away; after that the output is dropped and
    /// the failure remembered for [`Self::finish`].
    async fn flush(&mut self) {
        if self.buffer.is_empty() || self.failed.is_some() {
            self.buffer.take();
            return;
        }
        let (bytes, progress) = self.buffer.take();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let (since, patience) = (Instant::now(), self.context.config.outage_patience);
        loop {
            match self.write(&bytes, &progress).await {
                Ok(()) => break,
                Err(error) if backoff.tries() >= TRIES && !(error.may_pass() && since.elapsed() < patience) => {
                    self.failed = Some(error);
                    self.copy = Copy::Lost;
                    return;
                }
                Err(error) => {
                    tracing::warn!(attempt = %self.owner.attempt, "failed to write a log, trying again: {}", drydock_runtime::exit::chain(&error));
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
        let rows = if self.fits_rows(&bytes) {
            bytes.len().div_ceil(log_chunk::MAX_INLINE)
        } else {
            self.segments.push(u64::from(self.seq.unsigned_abs()));
            1
        };
        self.written(&bytes, rows);
        self.context.waker.wake(Channel::Events);
    }

    async fn write(&self, bytes: &Bytes, progress: &[String]) -> Result<(), LogError> {
        let attempt = self.owner.attempt;
        let client = self.context.database.client().await?;
        if !self.fits_rows(bytes) {
            let key =
                self.context.storage.keys(self.owner.tenant).log_segment(attempt, u64::from(self.seq.unsigned_abs()));
            self.context.storage.put(&key, bytes.clone()).await?;
            let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            log_chunk::append(
                &client,
                attempt,
                self.seq,
                self.offset,
                log_chunk::Body::Object { key: key.as_str(), length },
            )
            .await?;
        } else {
            let (mut seq, mut offset) = (self.seq, self.offset);
            for part in bytes.chunks(log_chunk::MAX_INLINE) {
                log_chunk::append(&client, attempt, seq, offset, log_chunk::Body::Inline(part)).await?;
                (seq, offset) = (seq + 1, offset + part.len() as i64);
            }
        }
        if !progress.is_empty() {
            job::progress(&client, attempt, progress).await?;
        }
        Ok(())
    }

    fn fits_rows(&self, bytes: &Bytes) -> bool {
        bytes.len() <= INLINE_FLUSH && self.offset + bytes.len() as i64 <= INLINE_TOTAL
    }

    /// These bytes stand in `rows` rows.
    fn written(&mut self, bytes: &Bytes, rows: usize) {
        self.seq += i32::try_from(rows).unwrap_or(i32::MAX);
        self.offset += bytes.len() as i64;
        self.context.metrics.log_bytes.inc_by(bytes.len() as u64);
        self.copy.push(bytes, self.context.scratch.path());
    }
}

impl SealedLater {
    /// Stores the one object and lets the rows go. A failure is left to the dispatcher, which seals from the rows.
    pub(crate) async fn seal(self) {
        let (context, owner, sealed) = (self.context, self.owner, self.sealed);
        let bytes = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
        let key = context.storage.keys(owner.tenant).log(owner.attempt);
        let stored = async {
            sealed.seal(&context.storage, &key).await?;
            attempt::seal(&context.database.client().await?, owner.attempt, key.as_str(), bytes).await?;
            for segment in &self.segments {
                context
                    .storage
                    .delete(&context.storage.keys(owner.tenant).log_segment(owner.attempt, *segment))
                    .await?;
            }
            Ok::<_, LogError>(())
        };
        if let Err(error) = stored.await {
            tracing::warn!(attempt = %owner.attempt, "failed to seal a log, left to the dispatcher: {}", drydock_runtime::exit::chain(&error));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
