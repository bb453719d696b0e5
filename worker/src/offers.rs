//! Jobs this worker is offered because it has their base version. What it does not claim goes to the pool soon, so an offer may
//! be dropped at any time. One waits a moment for a slot: that of the job which made the version frees just after its end is told.

use std::time::Duration;

use drydock_domain::Ticket;
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use crate::metrics::OfferMetrics;

/// Offers that wait to be looked at; more are dropped.
const WAITING: usize = 64;
/// How long one waits for a slot; by then it is with the pool.
const PATIENCE: Duration = Duration::from_secs(1);

type Offer = (Ticket, Instant);

/// Takes offers in.
#[derive(Clone, Debug)]
pub(crate) struct Offering {
    offers: mpsc::Sender<Offer>,
    metrics: OfferMetrics,
}

/// Gives them out, one at a time.
#[derive(Debug)]
pub(crate) struct Offers {
    offers: Mutex<mpsc::Receiver<Offer>>,
    pub(crate) metrics: OfferMetrics,
}

/// A way for offers.
pub(crate) fn offers(metrics: OfferMetrics) -> (Offering, Offers) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Offering { offers: sender, metrics: metrics.clone() }, Offers { offers: Mutex::new(receiver), metrics })
}

impl Offering {
    pub(crate) fn offer(&self, ticket: Ticket) {
        if self.offers.try_send((ticket, Instant::now())).is_err() {
            self.metrics.declined.inc();
        }
    }
}

impl Offers {
    /// The next offer; may be given up while it waits.
    pub(crate) async fn next(&self) -> Ticket {
        let mut offers = self.offers.lock().await;
        loop {
            match offers.recv().await {
                Some((ticket, came)) if came.elapsed() < PATIENCE => return ticket,
                Some(_late) => self.metrics.declined.inc(),
                // Nobody offers any more.
                None => std::future::pending().await,
            }
        }
    }
}
