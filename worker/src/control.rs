//! Hints: a cancel is told with the next renewal, a hint makes that renewal come at once. The listener has a connection and
//! a life of its own, so that it hears while the slots are full and no ticket may flow.

use std::{sync::Arc, time::Duration};

use drydock_queue::{Broker, Hints, QueueError};
use drydock_runtime::{Backoff, Shutdown, exit::chain};
use tokio::sync::Notify;

use crate::lease::Identity;

/// Renews on each hint until `shutdown` is forced.
pub(crate) async fn heed(broker: Broker, mut identity: Identity, renew: Arc<Notify>, shutdown: Shutdown) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
    loop {
        let worker = *identity.borrow_and_update();
        let listening = async {
            let mut hints = broker.hints(worker).await?;
            backoff.reset();
            let heard = tokio::select! {
                heard = listen(&mut hints, &renew) => heard,
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

async fn listen(hints: &mut Hints, renew: &Notify) -> Result<(), QueueError> {
    while hints.next().await?.is_some() {
        renew.notify_one();
    }
    Ok(())
}
