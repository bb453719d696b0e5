//! The log of one attempt: lines in, rows (or segments in object storage) while the agent runs, one sealed object at the end
//! of a long one. Readers see one byte stream at any moment; a finished attempt's log is complete when its finish commits,
//! because that writes the last of it. A short job's whole log costs no write of its own.

mod buffer;
mod cap;
mod copy;
mod writer;

use bytes::Bytes;
use drydock_database::report::LogTail;
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
    /// The log ends here.
    Finish(oneshot::Sender<Result<Rest, LogError>>),
}

/// What of a log the transaction that ends the attempt has to write.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Bytes of the whole log.
    pub(crate) bytes: i64,
    /// The last of them, where they were not written yet.
    pub(crate) tail: Option<LogTail>,
    /// Progress not told yet.
    pub(crate) progress: Vec<String>,
}

/// Writes to the log; where it is dropped without [`JobLog::close`], its rows are sealed later by the dispatcher.
pub(crate) struct JobLog {
    entries: mpsc::Sender<Entry>,
    task: JoinHandle<Option<SealedLater>>,
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

    /// Ends the log; answers what is left of it to be written.
    ///
    /// # Errors
    /// Neither the database nor object storage took what had to go before, after retries.
    pub(crate) async fn finish(&self) -> Result<Rest, LogError> {
        let (answer, rest) = oneshot::channel();
        let _ended = self.entries.send(Entry::Finish(answer)).await;
        rest.await.unwrap_or(Err(LogError::Gone))
    }

    /// Ends the writing; the result, where there is one, stores the one object once the attempt is finished.
    pub(crate) async fn close(self) -> Option<SealedLater> {
        drop(self.entries);
        self.task.await.ok().flatten()
    }
}
