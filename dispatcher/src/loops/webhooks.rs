//! Webhooks: due deliveries are taken and sent, by every dispatcher, whoever leads. What is taken is under a lease: what a dispatcher that
//! dies had taken is sent by another. A receiver that is slow holds some places for a while, and no message to another.

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
    /// The webhook that the next look begins after, so that each has its turn.
    after: Mutex<Uuid>,
}

impl Webhooks {
    pub(crate) fn new(context: Context, courier: Courier) -> Self {
        let places = Arc::new(Semaphore::new(courier.config.webhook_concurrency.into()));
        Self { context, courier, places, after: Mutex::new(Uuid::nil()) }
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
        let mut after = self.after.lock().await;
        let client = self.context.database.client().await?;
        let seen = webhook::pending(&client, *after, LOOK).await?;
        let due: Vec<WebhookId> = seen.iter().filter(|seen| seen.is_due).map(|seen| seen.webhook).collect();
        let was_at_start = after.is_nil();
        let is_whole = seen.len() < usize::try_from(LOOK).unwrap_or(usize::MAX);
        let mut taken = Vec::new();
        if !due.is_empty() {
            let (each, who) = (self.courier.config.webhook_concurrency_each.into(), Uuid::now_v7());
            let claims = webhook::claim(&client, &due, who, free, each, self.courier.lease()).await?;
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
        *after = next(&seen, &taken, is_whole, is_full);
        Ok(if is_full || (is_whole && was_at_start) { Next::Wait } else { Next::Again })
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

/// Where the next look begins.
fn next(seen: &[Pending], taken: &[WebhookId], is_whole: bool, is_full: bool) -> Uuid {
    let last = if is_full { taken.iter().max().copied() } else { seen.last().map(|seen| seen.webhook) };
    match last {
        Some(last) if is_full || !is_whole => last.uuid(),
        _ => Uuid::nil(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_webhook_has_its_turn() {
        let ids: Vec<WebhookId> = (1..=3).map(|n| Uuid::from_u128(n).into()).collect();
        let seen: Vec<Pending> = ids.iter().map(|&webhook| Pending { webhook, is_due: true }).collect();
        assert_eq!(next(&seen, &ids, true, false), Uuid::nil(), "all were seen: from the start again");
        assert_eq!(next(&seen, &ids, false, false), ids[2].uuid(), "there are more");
        assert_eq!(next(&seen, &ids[..2], true, true), ids[1].uuid(), "the third got no place");
        assert_eq!(next(&[], &[], true, false), Uuid::nil());
    }
}
