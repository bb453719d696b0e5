//! Chunks of lines on their way to the database, two at a time: one is written while the other is on its way.

use std::collections::{HashMap, VecDeque};

use drydock_database::batch::{self, LineJob, LineOutcome, Refused};
use drydock_domain::{BatchId, TenantId};
use drydock_runtime::tasks;
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;

use super::{
    asked::{AskedLine, LINE_REUSED, Place, project},
    report::Report,
};
use crate::{error::ApiError, state::Shared};

/// Lines of one transaction, and bytes of them.
const LINES: usize = 500;
const BYTES: usize = 1 << 20;
const AT_ONCE: usize = 2;
/// Forks made at once for one chunk.
const FORKS: usize = 4;

/// Collects lines and sends them off.
pub(super) struct Writer {
    app: Shared,
    tenant: TenantId,
    batch: BatchId,
    chunk: Vec<AskedLine>,
    bytes: usize,
    flights: VecDeque<JoinHandle<Result<Report, ApiError>>>,
    pub(super) report: Report,
}

impl Writer {
    pub(super) fn new(app: Shared, tenant: TenantId, batch: BatchId) -> Self {
        let flights = VecDeque::with_capacity(AT_ONCE);
        Self { app, tenant, batch, chunk: Vec::new(), bytes: 0, flights, report: Report::default() }
    }

    /// Takes a line of so many bytes; waits while enough are on their way.
    pub(super) async fn push(&mut self, line: AskedLine, bytes: usize) -> Result<(), ApiError> {
        self.chunk.push(line);
        self.bytes += bytes;
        if self.chunk.len() >= LINES || self.bytes >= BYTES { self.send().await } else { Ok(()) }
    }

    /// Sends off what is left.
    pub(super) async fn finish(&mut self) -> Result<(), ApiError> {
        self.send().await?;
        while !self.flights.is_empty() {
            self.land().await?;
        }
        Ok(())
    }

    /// Waits for what is on its way after a failure, so that nothing of the request happens after its answer.
    pub(super) async fn settle(&mut self) {
        while !self.flights.is_empty() {
            if let Err(error) = self.land().await {
                tracing::debug!(?error, "lines on their way failed too");
            }
        }
    }

    async fn send(&mut self) -> Result<(), ApiError> {
        if self.flights.len() >= AT_ONCE {
            self.land().await?;
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.bytes = 0;
        if !chunk.is_empty() {
            // A task of its own, so that it goes on while the next lines are read.
            self.flights
                .push_back(tasks::spawn("batch lines", write(self.app.clone(), self.tenant, self.batch, chunk)));
        }
        Ok(())
    }

    async fn land(&mut self) -> Result<(), ApiError> {
        if let Some(flight) = self.flights.pop_front() {
            self.report.add(flight.await.map_err(|error| ApiError::Internal(error.to_string()))??);
        }
        Ok(())
    }
}

async fn write(app: Shared, tenant: TenantId, batch: BatchId, chunk: Vec<AskedLine>) -> Result<Report, ApiError> {
    let mut report = Report::default();
    let mut lines = Vec::with_capacity(chunk.len());
    let beyond = forks_beyond(&app, tenant, batch, &chunk).await?;
    let (chunk, refused): (Vec<_>, Vec<_>) = chunk.into_iter().partition(|line| !beyond.contains_key(&line.number));
    for line in refused {
        report.refuse(line.number, ApiError::over_quota(&beyond[&line.number]))?;
    }
    let placed = stream::iter(chunk).map(|line| {
        let app = app.clone();
        async move { (line.number, project(&app, tenant, batch, &line).await.map(|project| into_job(line, project))) }
    });
    for (number, line) in placed.buffered(FORKS).collect::<Vec<_>>().await {
        match line {
            Ok(line) => lines.push(line),
            Err(error) => report.refuse(number, error)?,
        }
    }
    let refused = match batch::accept(&app.client(tenant).await?, tenant, batch, &lines).await? {
        Refused::NoBatch => return Err(ApiError::NO_BATCH),
        Refused::Lines(refused) => refused,
    };
    report.accepted = lines.len() - refused.len();
    for (line, outcome) in refused {
        match outcome {
            LineOutcome::Replayed => report.replayed += 1,
            LineOutcome::LineReused => report.refuse(line, ApiError::Conflict(LINE_REUSED.into()))?,
            LineOutcome::NoProject => report.refuse(line, ApiError::NO_PROJECT)?,
            LineOutcome::OverQuota(lacks) => report.refuse(line, ApiError::over_quota(&lacks))?,
            LineOutcome::Closed => return Err(closed(line)),
        }
    }
    if report.accepted > 0 {
        app.waker.wake_all();
    }
    Ok(report)
}

/// Lines that would be refused for a quota after a project was made for them: none is made.
async fn forks_beyond(
    app: &Shared,
    tenant: TenantId,
    batch: BatchId,
    chunk: &[AskedLine],
) -> Result<HashMap<i32, String>, ApiError> {
    let forks: Vec<i32> =
        chunk.iter().filter(|line| matches!(line.place, Place::Fork(..))).map(|line| line.number).collect();
    if forks.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(batch::beyond(&app.client(tenant).await?, tenant, batch, &forks).await?.into_iter().collect())
}

fn into_job(line: AskedLine, project: drydock_domain::ProjectId) -> LineJob {
    let [a, b, c, d, e, f, g, h, ..] = *line.hash.as_bytes();
    LineJob { line: line.number, hash: i64::from_be_bytes([a, b, c, d, e, f, g, h]), job: line.job.into_new(project) }
}

fn closed(line: i32) -> ApiError {
    ApiError::Conflict(format!("Batch is closed, and line {line} is new to it: make another batch for it").into())
}
