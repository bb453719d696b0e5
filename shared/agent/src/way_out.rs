//! The way out of one run whose agent has a broker: opened before the walls are made, since they leave its port alone open.

use std::sync::Arc;

use drydock_egress::{Broker, Egress};
use tokio::sync::mpsc;

use super::{error::AgentError, network::Reach, output::Sink, spec::AgentSpec};

/// Lines of the broker that wait for the job's log.
const BACKLOG: usize = 64;

/// A broker that listens, and what it says of each request.
pub(super) struct WayOut {
    pub(super) broker: Broker,
    lines: mpsc::Receiver<String>,
}

impl WayOut {
    /// Opens it; none where the agent has no broker.
    pub(super) fn open(spec: &AgentSpec, egress: &Egress) -> Result<Option<Self>, AgentError> {
        let Reach::Brokered(rules) = &spec.network else { return Ok(None) };
        let (sender, lines) = mpsc::channel(BACKLOG);
        let broker = Broker::open(egress, Arc::clone(rules), sender)
            .map_err(|source| AgentError::Prepare { what: "the egress broker", source })?;
        Ok(Some(Self { broker, lines }))
    }

    /// Carries on with `work`, passing on what the broker says; it ends with the work, and all of it has been said then.
    pub(super) async fn during<T>(self, sink: &Sink, work: impl AsyncFnOnce(&Broker) -> T) -> T {
        let Self { broker, mut lines } = self;
        let working = async {
            let done = work(&broker).await;
            broker.close().await;
            done
        };
        let telling = async {
            while let Some(line) = lines.recv().await {
                sink.line(line).await;
            }
        };
        tokio::join!(working, telling).0
    }
}
