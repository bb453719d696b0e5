//! Taking and keeping the lead. Contact with the database that breaks gives it up here at once, before it runs out there.

use std::time::Duration;

use drydock_database::{Database, DatabaseError, job::Term, leader};
use drydock_runtime::{Shutdown, tasks};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{context::Lead, metrics::DispatcherMetrics};

/// Starts the candidate; the receiver holds the lead while this process has it.
pub(crate) fn start(
    database: Database,
    ttl: Duration,
    metrics: DispatcherMetrics,
    shutdown: Shutdown,
) -> (watch::Receiver<Option<Lead>>, tokio::task::JoinHandle<()>) {
    let (sender, receiver) = watch::channel(None);
    let task =
        tasks::spawn("lead", stand(Candidate { database, holder: Uuid::now_v7(), ttl, metrics, sender }, shutdown));
    (receiver, task)
}

struct Candidate {
    database: Database,
    holder: Uuid,
    ttl: Duration,
    metrics: DispatcherMetrics,
    sender: watch::Sender<Option<Lead>>,
}

async fn stand(candidate: Candidate, shutdown: Shutdown) {
    while !shutdown.is_triggered() {
        // Asked before, believed after: the lead counts from before the question left.
        let asked = Instant::now();
        match tokio::time::timeout(candidate.ttl / 2, candidate.ask()).await {
            Ok(Ok(term)) => candidate.hold(term, asked),
            Ok(Err(error)) => {
                tracing::warn!("failed to keep the lead: {}", drydock_runtime::exit::chain(&error));
                candidate.hold(None, asked);
            }
            Err(_) => candidate.hold(None, asked),
        }
        tokio::select! {
            () = tokio::time::sleep(candidate.ttl * 3 / 10) => {}
            () = shutdown.triggered() => {}
        }
    }
    if candidate.sender.borrow().is_some() {
        candidate.hold(None, Instant::now());
        candidate.resign().await;
    }
}

impl Candidate {
    async fn ask(&self) -> Result<Option<i64>, DatabaseError> {
        leader::lead(&self.database.client().await?, self.holder, self.ttl).await
    }

    async fn resign(&self) {
        let resigned = async { leader::resign(&self.database.client().await?, self.holder).await };
        if let Err(error) = resigned.await {
            tracing::warn!("failed to give back the lead: {}", drydock_runtime::exit::chain(&error));
        }
    }

    fn hold(&self, number: Option<i64>, asked: Instant) {
        let term = number.map(|number| Term { holder: self.holder, number });
        self.metrics.leads(term.is_some());
        self.sender.send_if_modified(|lead| {
            if lead.map(|lead| lead.term) == term {
                return false;
            }
            match term {
                Some(term) => tracing::info!(term = term.number, "leading"),
                None => tracing::info!("not leading any more"),
            }
            *lead = term.map(|term| Lead { term, since: asked });
            true
        });
    }
}
