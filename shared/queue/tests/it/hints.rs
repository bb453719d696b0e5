//! Hints reach the worker they are for, and nobody waits for one that is not there.

use std::time::Duration;

use drydock_domain::WorkerId;
use drydock_queue::{Broker, Hint, Hints, Publisher};
use drydock_testing::broker;

use crate::PATIENCE;

async fn heard(hints: &mut Hints) -> Option<Hint> {
    tokio::time::timeout(PATIENCE, hints.next()).await.expect("an answer in time").unwrap()
}

async fn quiet(hints: &mut Hints) {
    assert!(tokio::time::timeout(Duration::from_millis(200), hints.next()).await.is_err());
}

async fn listener(broker: &Broker) -> (WorkerId, Hints) {
    let worker = WorkerId::generate();
    let hints = broker.hints(worker).await.unwrap();
    (worker, hints)
}

#[tokio::test]
async fn t37_a_hint_reaches_its_worker_alone() {
    let broker = broker();
    let ((first, mut to_first), (second, mut to_second)) = (listener(&broker).await, listener(&broker).await);
    let mut publisher = Publisher::new(broker.clone());
    publisher.hint(&[first]).await.unwrap();
    assert_eq!(heard(&mut to_first).await, Some(Hint::Renew));
    quiet(&mut to_second).await;
    publisher.hint(&[WorkerId::generate(), second]).await.unwrap();
    assert_eq!(heard(&mut to_second).await, Some(Hint::Renew));
    quiet(&mut to_first).await;
    // One that is gone is not missed, and what it left behind is gone as well.
    to_first.close().await;
    publisher.hint(&[first, second]).await.unwrap();
    assert_eq!(heard(&mut to_second).await, Some(Hint::Renew));
}
