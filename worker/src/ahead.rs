//! Versions that are brought to this node before the jobs that start from them, one at a time. All of it may be in vain, so
//! nothing waits for it and no failure matters.

use drydock_database::version;
use drydock_domain::Ahead;
use drydock_runtime::{Shutdown, exit::chain, tasks};
use tokio::sync::mpsc;

use crate::context::Context;

/// Versions that wait for their turn; more are dropped.
const WAITING: usize = 16;

/// Takes them in.
#[derive(Clone, Debug)]
pub(crate) struct Fetching {
    versions: mpsc::Sender<Ahead>,
}

impl Fetching {
    /// Fetches until `shutdown` is triggered.
    pub(crate) fn start(context: &Context, shutdown: &Shutdown) -> Self {
        let (versions, waiting) = mpsc::channel(WAITING);
        let (context, shutdown) = (context.clone(), shutdown.clone());
        tasks::spawn("ahead", async move {
            tokio::select! {
                () = shutdown.triggered() => {}
                () = fetch_all(&context, waiting) => {}
            }
        });
        Self { versions }
    }

    pub(crate) fn fetch(&self, version: Ahead) {
        if self.versions.try_send(version).is_err() {
            tracing::debug!("too many versions to fetch ahead: left to the jobs that need them");
        }
    }
}

async fn fetch_all(context: &Context, mut waiting: mpsc::Receiver<Ahead>) {
    while let Some(version) = waiting.recv().await {
        if context.materializer.cache().held().contains(&(version.tenant, version.tree)) {
            continue;
        }
        match fetch(context, &version).await {
            Ok(true) => context.metrics.offers.fetched_ahead.inc(),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(project = %version.project, "failed to fetch ahead: {}", chain(error.as_ref()))
            }
        }
    }
}

/// Answers whether the version is still there.
async fn fetch(context: &Context, ahead: &Ahead) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let client = context.database.client().await?;
    let found = version::tree(&client, ahead.tenant, ahead.project, Some(ahead.version)).await?;
    drop(client);
    let Some(stored) = found.ok().and_then(|found| found.stored) else { return Ok(false) };
    context.materializer.fetch_ahead(&context.base(ahead.tenant, &stored)).await?;
    Ok(true)
}
