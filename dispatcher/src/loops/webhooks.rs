//! Webhooks: due deliveries are taken and sent, by every dispatcher, whoever leads. What is taken is under a lease: what a dispatcher that
//! dies had taken is sent by another. A receiver that is slow holds some places for a while, and a tenant with many of them only its share.

use std::sync::Arc;

use drydock_database::{
    DatabaseError,
    webhook::{self, Pending},
};
use drydock_domain::WebhookId;
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
    tasks,
};
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

use crate::{context::Context, webhooks::Courier};

/// Webhooks looked at in one go.
const LOOK: i32 = 500;

/// The loop, its places, and how far it has looked.
pub(crate) struct Webhooks {
    context: Context,
    courier: Courier,
    places: Arc<Semaphore>,
    round: Mutex<Round>,
}

/// How far a round over all webhooks with something pending has come, so that each has its turn.
#[derive(Debug, Default)]
struct Round {
    /// The webhook that the next look begins after.
    after: Uuid,
    /// It went on after a pause: some were passed when all places were taken.
    resumed: bool,
}

/// What a look has found.
struct Looked<'a> {
    seen: &'a [Pending],
    taken: &'a [WebhookId],
    /// There are no more after these.
    is_last: bool,
    /// All places are taken.
    is_full: bool,
}

impl Webhooks {
    pub(crate) fn new(context: Context, courier: Courier) -> Self {
        let places = Arc::new(Semaphore::new(courier.config.webhook_concurrency.into()));
        Self { context, courier, places, round: Mutex::default() }
    }

    /// Ends once what was taken is sent.
    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
        let all = self.places.acquire_many(self.courier.config.webhook_concurrency.into()).await;
        drop(all);
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        let free = i32::try_from(self.places.available_permits()).unwrap_or(i32::MAX);
        if free == 0 {
            // Whoever ends wakes this.
            return Ok(Next::Wait);
        }
        let mut round = self.round.lock().await;
        let client = self.context.database.client().await?;
        let seen = webhook::pending(&client, round.after, LOOK).await?;
        let due: Vec<WebhookId> = seen.iter().filter(|seen| seen.is_due).map(|seen| seen.webhook).collect();
        let is_last = seen.len() < usize::try_from(LOOK).unwrap_or(usize::MAX);
        let mut taken = Vec::new();
        if !due.is_empty() {
            let (shares, who) = (self.courier.config.shares(), Uuid::now_v7());
            let claims = webhook::claim(&client, &due, who, free, shares, self.courier.lease()).await?;
            let jobs: Vec<_> = claims.iter().filter_map(|claim| claim.job).collect();
            let ends = webhook::job_ends(&client, &jobs).await?;
            for claim in claims {
                let end = ends.iter().find(|end| Some(end.id) == claim.job).cloned();
                taken.push(claim.webhook);
                self.send(claim, end, who).await;
            }
        }
        // With all places taken the next look goes on after the last that got one.
        let is_full = self.places.available_permits() == 0;
        Ok(round.next(&Looked { seen: &seen, taken: &taken, is_last, is_full }))
    }

    async fn send(&self, claim: webhook::Claim, end: Option<webhook::JobEnd>, who: Uuid) {
        // There is one: only this takes them.
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let (courier, wake) = (self.courier.clone(), self.context.wakes.webhooks.clone());
        tasks::spawn("webhook", async move {
            courier.deliver(claim, end, who).await;
            drop(place);
            wake.notify_one();
        });
    }
}

impl Round {
    /// Whether to look on at once, and from where. A round that saw all waits: whoever takes a place wakes this when it ends.
    fn next(&mut self, looked: &Looked<'_>) -> Next {
        if looked.is_full {
            self.after = looked.taken.iter().max().copied().map_or(self.after, WebhookId::uuid);
            self.resumed = true;
            return Next::Wait;
        }
        if !looked.is_last {
            self.after = looked.seen.last().map_or(self.after, |seen| seen.webhook.uuid());
            return Next::Again;
        }
        let has_passed_some = std::mem::take(self).resumed;
        if has_passed_some { Next::Again } else { Next::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ids: std::ops::RangeInclusive<u128>) -> Vec<Pending> {
        ids.map(|n| Pending { webhook: Uuid::from_u128(n).into(), is_due: true }).collect()
    }

    fn look(round: &mut Round, seen: &[Pending], taken: usize, is_last: bool, is_full: bool) -> (Next, u128) {
        let taken: Vec<WebhookId> = seen[..taken].iter().map(|seen| seen.webhook).collect();
        let next = round.next(&Looked { seen, taken: &taken, is_last, is_full });
        (next, round.after.as_u128())
    }

    #[test]
    fn each_webhook_has_its_turn() {
        let mut round = Round::default();
        assert_eq!(look(&mut round, &seen(1..=3), 3, true, false), (Next::Wait, 0), "all were seen");
        assert_eq!(look(&mut round, &seen(1..=3), 2, true, true), (Next::Wait, 2), "the third got no place");
        assert_eq!(look(&mut round, &seen(3..=3), 1, true, false), (Next::Again, 0), "those passed meanwhile");
        assert_eq!(look(&mut round, &seen(1..=3), 1, true, false), (Next::Wait, 0));
        assert_eq!(look(&mut round, &[], 0, true, false), (Next::Wait, 0));
    }

    /// Red when a round of several looks is followed by another at once.
    #[test]
    fn however_many_wait_for_later_a_round_ends() {
        let mut round = Round::default();
        for _ in 0..2 {
            assert_eq!(look(&mut round, &seen(1..=500), 0, false, false), (Next::Again, 500));
            assert_eq!(look(&mut round, &seen(501..=1000), 0, false, false), (Next::Again, 1000));
            assert_eq!(look(&mut round, &seen(1001..=1200), 3, true, false), (Next::Wait, 0));
        }
    }
}
