//! `AuditLog`: records on their way to the database, those that come together in one transaction.

use std::time::Duration;

use drydock_database::{
    Database,
    audit::{self, AuditRecord},
};
use drydock_runtime::{
    exit::chain,
    group::{Bounds, Group},
};
use prometheus::IntCounterVec;
use tokio::sync::{oneshot, watch};

use crate::{error::ApiError, metrics::ApiMetrics};

const BOUNDS: Bounds =
    Bounds { most: 256, heaviest: usize::MAX, at_once: 2, queue: 4096, rest: Duration::ZERO, crowd: usize::MAX };
const STOPPING: ApiError = ApiError::Unavailable { detail: "The server is stopping", cause: None };

/// Takes records.
#[derive(Debug)]
pub(crate) struct AuditLog {
    door: Group<Note>,
    /// Records that were handed over and are not written yet.
    under_way: watch::Sender<usize>,
}

#[derive(Debug)]
struct Note {
    record: AuditRecord,
    /// Who waits for it to be durable.
    written: Option<oneshot::Sender<Result<(), ApiError>>>,
}

impl AuditLog {
    /// Starts the task that writes; it ends with this value.
    pub(crate) fn start(database: &Database, metrics: &ApiMetrics) -> Self {
        let (database, records) = (database.clone(), metrics.audit_records.clone());
        let under_way = watch::Sender::new(0);
        let landed = under_way.clone();
        let write = move |notes: Vec<Note>| {
            let (count, landed) = (notes.len(), landed.clone());
            let writing = write(database.clone(), records.clone(), notes);
            async move {
                writing.await;
                landed.send_modify(|under_way| *under_way -= count);
            }
        };
        Self { door: Group::start("audit", BOUNDS, |_| 1, write), under_way }
    }

    /// Writes a record; it is durable then.
    ///
    /// # Errors
    /// 503: the database does not take it, and what it tells of must not be done.
    pub(crate) async fn write(&self, record: AuditRecord) -> Result<(), ApiError> {
        let (written, answer) = oneshot::channel();
        self.send(Note { record, written: Some(written) }).await?;
        answer.await.map_err(|_| STOPPING)?
    }

    /// Has a record written soon. Should that fail, the log shows a request without an outcome, and the metric counts it.
    pub(super) async fn write_soon(&self, record: AuditRecord) {
        if self.send(Note { record, written: None }).await.is_err() {
            tracing::error!("the server stops: an outcome is missing from the audit log");
        }
    }

    /// Everything handed over is written, or could not be.
    pub(crate) async fn flush(&self) {
        // The sender is here, so this ends with the count.
        let mut under_way = self.under_way.subscribe();
        let _count = under_way.wait_for(|under_way| *under_way == 0).await;
    }

    async fn send(&self, note: Note) -> Result<(), ApiError> {
        self.under_way.send_modify(|under_way| *under_way += 1);
        self.door.send(note).await.map_err(|_| STOPPING)
    }
}

async fn write(database: Database, records: IntCounterVec, notes: Vec<Note>) {
    let (texts, waiting): (Vec<_>, Vec<_>) = notes.into_iter().map(|note| (note.record, note.written)).unzip();
    let written = async { audit::append(&database.client().await?, &texts).await }.await.map_err(|error| {
        tracing::error!(records = texts.len(), "failed to write the audit log: {}", chain(&error));
        ApiError::from(error)
    });
    let outcome = if written.is_ok() { "written" } else { "failed" };
    records.with_label_values(&[outcome]).inc_by(u64::try_from(texts.len()).unwrap_or(u64::MAX));
    for waiting in waiting.into_iter().flatten() {
        // Who has gone does not want to know any more.
        let _gone = waiting.send(written.as_ref().copied().map_err(ApiError::again));
    }
}
