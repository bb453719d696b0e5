//! The log of one attempt: lines in, rows (or segments in object storage) while the agent runs, one sealed object at the end.
//! Readers see one byte stream at any moment; a finished attempt's log is complete before its finish commits.

mod buffer;
mod cap;
mod writer;

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub(crate) use writer::{LogError, SealedLater};
use writer::{Owner, Writer};

use crate::context::Context;

/// Entries that wait for the writer; then whoever writes waits.
const BACKLOG: usize = 256;

pub(crate) enum Entry {
    Line(Bytes),
    Progress(String),
    /// Everything before this is to be durable in rows; answers the bytes written.
    Flush(oneshot::Sender<Result<i64, LogError>>),
}

/// Writes to the log; dropped without [`JobLog::seal`], its rows are sealed later by the dispatcher.
pub(crate) struct JobLog {
    entries: mpsc::Sender<Entry>,
    task: JoinHandle<SealedLater>,
}

impl JobLog {
    /// Opens the log of an attempt.
    pub(crate) fn open(
        context: &Context,
        tenant: drydock_domain::TenantId,
        attempt: drydock_domain::AttemptId,
    ) -> Self {
        let (entries, receiver) = mpsc::channel(BACKLOG);
        let writer = Writer::new(context.clone(), Owner { tenant, attempt });
        Self { entries, task: drydock_runtime::tasks::spawn("log", writer.run(receiver)) }
    }

    /// One line, without its newline.
    pub(crate) async fn line(&self, line: impl Into<Bytes>) {
        // The writer ends only after this handle.
        let _ended = self.entries.send(Entry::Line(line.into())).await;
    }

    /// What happens now, as an event.
    pub(crate) async fn progress(&self, text: impl Into<String>) {
        let _ended = self.entries.send(Entry::Progress(text.into())).await;
    }

    /// Makes everything written so far readable; answers how many bytes that is.
    ///
    /// # Errors
    /// Neither the database nor object storage took it, after retries.
    pub(crate) async fn flush(&self) -> Result<i64, LogError> {
        let (answer, flushed) = oneshot::channel();
        let _ended = self.entries.send(Entry::Flush(answer)).await;
        flushed.await.unwrap_or(Err(LogError::Gone))
    }

    /// Ends the writing; the result stores the one object once the attempt is finished.
    pub(crate) async fn close(self) -> Option<SealedLater> {
        drop(self.entries);
        self.task.await.ok()
    }
}
