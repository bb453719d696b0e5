//! Starts services again that ended by themselves, as every process supervisor does.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::Fleet;

const LOOK: Duration = Duration::from_millis(50);
/// As long as a supervisor waits.
const PAUSE: Duration = Duration::from_millis(300);

/// Keeps the fleet until it is dropped.
pub(crate) async fn keep(fleet: Arc<Fleet>) {
    loop {
        for service in fleet.services() {
            if service.ended_by_itself() {
                sleep(PAUSE).await;
                service.revive();
            }
        }
        sleep(LOOK).await;
    }
}
