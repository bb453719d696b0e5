//! Tickets: admit, publish, and send again. `dispatched` with its seq is the outbox, so all this keeps in memory is which
//! tickets the last publish left in doubt; a new leader, who cannot know, sends all of them again.

use std::time::Duration;

use drydock_database::{DatabaseError, job};
use drydock_domain::{JobId, Ticket};
use drydock_queue::{Publisher, QueueError};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::{Context, Lead};

const BATCH: i32 = 200;
/// Tickets older than this at the start of a term were perhaps never published.
const INHERITED: Duration = Duration::from_secs(2);
/// Share of a second of claims that may wait in the broker, so that short jobs find their next ticket there.
const LOOKAHEAD_S: f64 = 0.25;

/// A round that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TicketsError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{0} tickets were not confirmed and will be sent again")]
    Unconfirmed(usize, #[source] Option<QueueError>),
}

/// The loop and what it remembers.
pub(crate) struct Tickets {
    context: Context,
    state: Mutex<State>,
}

struct State {
    publisher: Publisher,
    doubtful: Vec<JobId>,
    term: Option<i64>,
    looked: Instant,
    pace: Pace,
}

impl Tickets {
    pub(crate) fn new(context: Context) -> Self {
        let publisher = Publisher::new(context.broker.clone());
        let state = State { publisher, doubtful: Vec::new(), term: None, looked: Instant::now(), pace: Pace::new() };
        Self { context, state: Mutex::new(state) }
    }

    pub(crate) async fn run(&mut self, schedule: Schedule, shutdown: Shutdown) {
        let (context, state) = (&self.context, &self.state);
        periodic::run(schedule, shutdown, || async { state.lock().await.round(context).await }).await;
        self.state.lock().await.publisher.disconnect().await;
    }
}

impl State {
    async fn round(&mut self, context: &Context) -> Result<Next, TicketsError> {
        let Some(lead) = context.lead() else {
            (self.term, self.doubtful) = (None, Vec::new());
            return Ok(Next::Wait);
        };
        let mut tickets = self.again(context, lead).await?;
        // With tickets in doubt the broker is not well: admit no more until it takes those.
        let mut admitted = 0;
        if tickets.is_empty() {
            let client = context.database.client().await?;
            tickets = job::admit(&client, lead.term, self.pace.lookahead(), BATCH).await?;
            admitted = tickets.len();
            self.pace.admitted(admitted);
            context.metrics.admitted.inc_by(admitted as u64);
        }
        if tickets.is_empty() {
            return Ok(Next::Wait);
        }
        self.publish(tickets).await?;
        Ok(if admitted >= BATCH.unsigned_abs() as usize { Next::Again } else { Next::Wait })
    }

    /// Tickets to send again: in doubt, inherited from another leader, or unclaimed for too long.
    async fn again(&mut self, context: &Context, lead: Lead) -> Result<Vec<Ticket>, DatabaseError> {
        let fresh = self.term != Some(lead.term.number);
        let timeout = context.config.claim_timeout;
        if !fresh && self.doubtful.is_empty() && self.looked.elapsed() < timeout.min(Duration::from_secs(1)) {
            return Ok(Vec::new());
        }
        let unclaimed = if fresh { INHERITED.min(timeout) } else { timeout };
        let client = context.database.client().await?;
        let tickets = job::redispatch(&client, lead.term, &self.doubtful, unclaimed, BATCH).await?;
        context.metrics.redispatched.inc_by(tickets.len() as u64);
        (self.term, self.looked) = (Some(lead.term.number), Instant::now());
        self.doubtful.clear();
        Ok(tickets)
    }

    async fn publish(&mut self, tickets: Vec<Ticket>) -> Result<(), TicketsError> {
        let published = self.publisher.publish(tickets).await;
        self.doubtful = published.unconfirmed.iter().map(|ticket| ticket.job).collect();
        if self.doubtful.is_empty() {
            Ok(())
        } else {
            Err(TicketsError::Unconfirmed(self.doubtful.len(), published.error))
        }
    }
}

/// How fast jobs are admitted, over the last second or so.
struct Pace {
    since: Instant,
    count: usize,
    per_second: f64,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0, per_second: 0.0 }
    }

    fn admitted(&mut self, count: usize) {
        self.count += count;
        let elapsed = self.since.elapsed();
        if elapsed >= Duration::from_secs(1) {
            self.per_second = self.count as f64 / elapsed.as_secs_f64();
            (self.since, self.count) = (Instant::now(), 0);
        }
    }

    /// Tickets beyond the free slots: none for long jobs.
    #[expect(clippy::cast_possible_truncation, reason = "a rate of admissions is far below i32::MAX")]
    fn lookahead(&self) -> i32 {
        (self.per_second * LOOKAHEAD_S) as i32
    }
}
