//! What this worker alone is told: that a renewal would bring news (a cancel comes with the next one, a hint makes that come at
//! once), and jobs it is offered. The listener has a connection and a life of its own, so that it hears while the slots are
//! full and no ticket may flow.

use std::{sync::Arc, time::Duration};

use drydock_queue::{Broker, Hint, Hints, QueueError};
use drydock_runtime::{Backoff, Shutdown, exit::chain};
use tokio::sync::Notify;

use crate::{ahead::Fetching, lease::Identity, offers::Offering};

/// Who acts on what is heard.
pub(crate) struct Listener {
    pub(crate) renew: Arc<Notify>,
    pub(crate) offering: Offering,
    pub(crate) fetching: Fetching,
}

/// Listens until `shutdown` is forced.
pub(crate) async fn heed(broker: Broker, mut identity: Identity, listener: Listener, shutdown: Shutdown) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    loop {
        let worker = *identity.borrow_and_update();
        let listening = async {
            let mut hints = broker.hints(worker).await?;
            backoff.reset();
            let heard = tokio::select! {
                heard = listener.listen(&mut hints) => heard,
                // This process is another worker from now on, or none.
                _ = identity.changed() => Ok(()),
            };
            hints.close().await;
            heard
        };
        tokio::select! {
            () = shutdown.forced() => return,
            heard = listening => {
                if let Err(error) = heard {
                    tracing::debug!("hints are not heard: {}", chain(&error));
                }
            }
        }
        tokio::select! {
            () = shutdown.forced() => return,
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
}

impl Listener {
    async fn listen(&self, hints: &mut Hints) -> Result<(), QueueError> {
        while let Some(hint) = hints.next().await? {
            match hint {
                Hint::Renew => self.renew.notify_one(),
                Hint::Offer(ticket) => self.offering.offer(ticket),
                Hint::Ahead(version) => self.fetching.fetch(version),
            }
        }
        Ok(())
    }
}
