//! `LogReader`: the bytes of one attempt's log from an offset on, wherever they are by now. A log may be sealed between two
//! reads; offsets mean the same before and after.

use bytes::Bytes;
use drydock_database::{
    DatabaseError,
    log_read::{self, AttemptLog, Chunk},
};
use drydock_domain::TenantId;
use drydock_storage::{SealedLog, StorageError, StorageErrorKind};
use futures_util::{StreamExt as _, stream::BoxStream};

use crate::{error::ApiError, state::Shared};

/// Rows read at once: at most 2 MiB in memory.
const PAGE: i64 = 64;
/// Bytes handed out of an object at once.
const PIECE: usize = 64 << 10;

/// What a read gives.
pub(super) enum Step {
    /// The next bytes.
    Bytes(Bytes),
    /// None yet: the attempt still runs.
    Wait,
    /// No more, ever.
    End,
}

/// A place in a log.
pub(super) struct LogReader {
    app: Shared,
    tenant: TenantId,
    log: AttemptLog,
    offset: u64,
    /// Number of the last row read.
    seq: i32,
    ready: std::collections::VecDeque<Chunk>,
    sealed: Option<BoxStream<'static, Result<Bytes, StorageError>>>,
}

impl LogReader {
    pub(super) fn new(app: Shared, tenant: TenantId, log: AttemptLog, offset: u64) -> Self {
        Self { app, tenant, log, offset, seq: -1, ready: std::collections::VecDeque::new(), sealed: None }
    }

    /// Where the next byte is.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that can be read now.
    pub(super) async fn available(&mut self) -> Result<u64, DatabaseError> {
        let bytes = match self.log.finished {
            true => self.log.bytes,
            false => log_read::end(&self.app.client(self.tenant).await?, self.log.attempt).await?,
        };
        Ok(bytes.unsigned_abs())
    }

    /// The next bytes, at most some 64 KiB.
    pub(super) async fn next(&mut self) -> Result<Step, ApiError> {
        loop {
            if let Some(sealed) = &mut self.sealed {
                return match sealed.next().await.transpose()? {
                    Some(bytes) => Ok(self.advance(bytes)),
                    None => Ok(Step::End),
                };
            }
            if let Some(chunk) = self.ready.pop_front() {
                match self.bytes_of(chunk).await? {
                    Some(bytes) if !bytes.is_empty() => return Ok(self.advance(bytes)),
                    _ => continue,
                }
            }
            if self.log.finished && self.offset >= self.log.bytes.unsigned_abs() {
                return Ok(Step::End);
            }
            if let Some(step) = self.load().await? {
                return Ok(step);
            }
        }
    }

    fn advance(&mut self, bytes: Bytes) -> Step {
        self.offset += bytes.len() as u64;
        Step::Bytes(bytes)
    }

    /// Reads more rows, or learns that the log is sealed; some step where there is nothing to read.
    async fn load(&mut self) -> Result<Option<Step>, ApiError> {
        let client = self.app.client(self.tenant).await?;
        // Asked first: rows written before the attempt ended are then all seen below.
        self.log = log_read::refresh(&client, self.log.attempt).await?;
        if self.log.object.is_some() {
            let key = self.app.storage.keys(self.tenant).log(self.log.attempt);
            let log = SealedLog::open(&self.app.storage, key).await?;
            self.sealed = Some(log.read(self.offset..log.len()).flat_map(pieces).boxed());
            return Ok(None);
        }
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        self.ready = log_read::chunks(&client, self.log.attempt, self.seq, offset, PAGE).await?.into();
        if let Some(last) = self.ready.back() {
            self.seq = last.seq;
            return Ok(None);
        }
        if !self.log.finished {
            return Ok(Some(Step::Wait));
        }
        // Rows go only in the transaction that seals: either that has just happened, or there never were more.
        self.log = log_read::refresh(&client, self.log.attempt).await?;
        let missing = self.log.bytes.unsigned_abs().saturating_sub(self.offset);
        let sealed = self.log.object.is_some() || missing == 0;
        Ok(if sealed { None } else { Some(self.advance(lost(missing))) })
    }

    /// The part of a chunk from the offset on, within what the attempt is known to have written. None when its object
    /// has gone because the log was sealed meanwhile.
    async fn bytes_of(&mut self, chunk: Chunk) -> Result<Option<Bytes>, ApiError> {
        let start = chunk.offset.unsigned_abs();
        if start > self.offset {
            let gap = start - self.offset;
            self.ready.push_front(chunk);
            return Ok(Some(lost(gap)));
        }
        let skip = self.offset - start;
        let bytes = match chunk.data {
            Some(data) => Bytes::from(data),
            None => match self.segment(&chunk).await {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == StorageErrorKind::NotFound => {
                    self.log = log_read::refresh(&self.app.client(self.tenant).await?, self.log.attempt).await?;
                    self.ready.clear();
                    return if self.log.object.is_some() { Ok(None) } else { Err(error.into()) };
                }
                Err(error) => return Err(error.into()),
            },
        };
        let limit = if self.log.finished { self.log.bytes.unsigned_abs() } else { u64::MAX };
        let end = limit.saturating_sub(start).min(bytes.len() as u64).max(skip);
        let range = usize::try_from(skip).ok().zip(usize::try_from(end).ok());
        Ok(range.and_then(|(skip, end)| bytes.get(skip..end)).map(|part| bytes.slice_ref(part)))
    }

    async fn segment(&mut self, chunk: &Chunk) -> Result<Bytes, StorageError> {
        let keys = self.app.storage.keys(self.tenant);
        let key = keys.log_segment(self.log.attempt, chunk.seq.unsigned_abs().into());
        self.app.storage.get(&key, chunk.length.unsigned_abs().into()).await
    }
}

/// What stands in for bytes that a crash of the database took (rows are committed asynchronously), so that all offsets
/// after them stay true: a line that says so where it fits.
fn lost(bytes: u64) -> Bytes {
    let length = usize::try_from(bytes).unwrap_or(PIECE).min(PIECE);
    let mut line = format!("[{bytes} bytes of the log are lost]").into_bytes();
    line.truncate(length.saturating_sub(1));
    line.resize(length.saturating_sub(1), b' ');
    line.push(b'\n');
    line.into()
}

/// Frames of an object are bigger than what a client should get at once.
fn pieces(
    bytes: Result<Bytes, StorageError>,
) -> impl futures_util::Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let cut = match bytes {
        Ok(mut bytes) => {
            let mut cut = Vec::new();
            while !bytes.is_empty() {
                cut.push(Ok(bytes.split_to(bytes.len().min(PIECE))));
            }
            cut
        }
        Err(error) => vec![Err(error)],
    };
    futures_util::stream::iter(cut)
}
