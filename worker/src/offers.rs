//! Jobs this worker is offered because it has their base version. What it does not claim goes to the pool soon, so an offer may
//! be dropped at any time. One waits for a slot: that of the job which made the version frees just after its end is told. If it is
//! with the pool by then, the claim says so.

use drydock_domain::Ticket;
use tokio::sync::{Mutex, mpsc};

use crate::metrics::OfferMetrics;

/// Offers that wait to be looked at; more are dropped.
const WAITING: usize = 64;

/// Takes offers in.
#[derive(Clone, Debug)]
pub(crate) struct Offering {
    offers: mpsc::Sender<Ticket>,
    metrics: OfferMetrics,
}

/// Gives them out, one at a time.
#[derive(Debug)]
pub(crate) struct Offers {
    offers: Mutex<mpsc::Receiver<Ticket>>,
    pub(crate) metrics: OfferMetrics,
}

/// A way for offers.
pub(crate) fn offers(metrics: OfferMetrics) -> (Offering, Offers) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Offering { offers: sender, metrics: metrics.clone() }, Offers { offers: Mutex::new(receiver), metrics })
}

impl Offering {
    pub(crate) fn offer(&self, ticket: Ticket) {
        if self.offers.try_send(ticket).is_err() {
            self.metrics.declined.inc();
        }
    }
}

impl Offers {
    /// The next offer; may be given up while it waits.
    pub(crate) async fn next(&self) -> Ticket {
        match self.offers.lock().await.recv().await {
            Some(ticket) => ticket,
            // Nobody offers any more.
            None => std::future::pending().await,
        }
    }
}
