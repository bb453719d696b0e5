//! Tickets: admit, publish, and send again. `dispatched` with its seq is the outbox, so all this keeps in memory is which
//! tickets are in doubt; a new leader, who cannot know, sends all of them again.
//!
//! While the broker is away jobs are still admitted, for workers that pull, but only as many as there are free slots, and no
//! ticket gets a new seq: that would take it from a worker about to claim it.

use std::time::Duration;

use drydock_database::{DatabaseError, job};
use drydock_domain::{Dispatch, JobId, Ticket};
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use super::{offers::Offers, pace::Pace, relay::Relay};
use crate::context::{Context, Lead};

const BATCH: i32 = 200;
/// Tickets older than this at the start of a term were perhaps never published; younger ones get as long to be claimed.
const INHERITED: Duration = Duration::from_secs(2);

/// The loop and what it remembers.
pub(crate) struct Tickets {
    context: Context,
    state: Mutex<State>,
}

struct State {
    relay: Relay,
    /// Admitted or published, but not known to be in the broker.
    doubtful: Vec<JobId>,
    offers: Offers,
    term: Option<i64>,
    /// Tickets that another leader dispatched in its last moments may still be claimed, or were never published.
    inheriting: bool,
    looked: Instant,
    pace: Pace,
}

impl Tickets {
    pub(crate) fn new(context: Context) -> Self {
        let relay = Relay::new(context.broker.clone());
        let (doubtful, offers, looked, pace) = (Vec::new(), Offers::default(), Instant::now(), Pace::new());
        let state = State { relay, doubtful, offers, term: None, inheriting: false, looked, pace };
        Self { context, state: Mutex::new(state) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        let (context, state) = (&self.context, &self.state);
        let round = || async {
            let mut state = state.lock().await;
            let next = state.round(context).await;
            tokio::time::sleep(state.pace.rest()).await;
            let offer_ends = state.offers.next().map(|end| end.saturating_duration_since(Instant::now()));
            match (next, offer_ends) {
                (Ok(Next::Wait), Some(left)) => Ok(Next::Within(left)),
                (next, _) => next,
            }
        };
        periodic::run(schedule, shutdown, round).await;
        self.state.lock().await.relay.close().await;
    }
}

impl State {
    async fn round(&mut self, context: &Context) -> Result<Next, DatabaseError> {
        let Some(lead) = context.lead() else {
            (self.term, self.inheriting, self.doubtful) = (None, false, Vec::new());
            self.offers.clear();
            return Ok(Next::Wait);
        };
        if self.term != Some(lead.term.number) {
            // A new term sends tickets again, under new seqs. In vain, that would take them from the workers that have the old ones.
            self.relay.ask().await;
        }
        self.doubtful.extend(self.relay.settled());
        self.doubtful.extend(self.offers.over());
        let up = self.relay.is_up();
        context.metrics.relay_up(up);
        if up {
            let again = self.again(context, lead).await?;
            if !again.is_empty() {
                let again = again.into_iter().map(Dispatch::from).collect();
                self.doubtful.extend(self.relay.publish(again).await);
                return Ok(Next::Again);
            }
        }
        let lookahead = if up { self.pace.lookahead() } else { 0 };
        let out = self.offers.out();
        let mut admission = job::admit(&context.database.client().await?, lead.term, lookahead, BATCH, &out).await?;
        let admitted = admission.len();
        if admitted == 0 {
            return Ok(Next::Wait);
        }
        self.pace.admitted(admitted);
        context.metrics.admitted.inc_by(admitted as u64);
        if up {
            let offered = self.offers.make(&mut admission, context.config.locality_wait);
            context.metrics.locality.offered.inc_by(offered as u64);
            self.doubtful.extend(self.relay.publish(admission).await);
            if !self.doubtful.is_empty() && self.relay.is_up() {
                // Offered to workers that do not listen.
                return Ok(Next::Again);
            }
        } else {
            self.doubtful.extend(admission.iter().map(|dispatch| dispatch.ticket.job));
        }
        Ok(if admitted >= BATCH.unsigned_abs() as usize { Next::Again } else { Next::Wait })
    }

    /// Tickets to send again: in doubt, inherited from another leader, or unclaimed for too long.
    async fn again(&mut self, context: &Context, lead: Lead) -> Result<Vec<Ticket>, DatabaseError> {
        let fresh = self.term != Some(lead.term.number);
        let (timeout, age) = (context.config.claim_timeout, lead.since.elapsed());
        let late = self.inheriting && age >= INHERITED;
        if !fresh && !late && self.doubtful.is_empty() && self.looked.elapsed() < timeout.min(Duration::from_secs(1)) {
            return Ok(Vec::new());
        }
        let unclaimed = match (fresh, late) {
            (true, _) => INHERITED.min(timeout),
            // All that was dispatched before this term and is still unclaimed.
            (false, true) => age.min(timeout),
            (false, false) => timeout,
        };
        let client = context.database.client().await?;
        let named = self.doubtful.len().min(BATCH.unsigned_abs() as usize);
        self.offers.withdraw(&self.doubtful[..named]);
        let tickets = job::redispatch(&client, lead.term, &self.doubtful[..named], unclaimed, BATCH).await?;
        context.metrics.redispatched.inc_by(tickets.len() as u64);
        (self.term, self.looked) = (Some(lead.term.number), Instant::now());
        self.inheriting = fresh || self.inheriting && !late;
        self.doubtful.drain(..named);
        Ok(tickets)
    }
}
