//! Freeing stored bytes that nothing needs any more, a bounded pass at a time. Two leaders at once do no harm: see the collector.

use drydock_collector::{CollectError, Collector, Pass};
use drydock_database::pack;
use drydock_runtime::{
    Shutdown,
    periodic::{self, Next, Schedule},
};
use tokio::time::Instant;

use super::rest::Rest;
use crate::context::Context;

/// Counting all objects takes time, so a count is followed by a pause of fifty times as long as it took.
const PAUSE: u32 = 50;

/// The loop, and the pause between two counts.
pub(crate) struct Collection {
    context: Context,
    collector: Collector,
    rest: Rest,
}

impl Collection {
    pub(crate) fn new(context: Context) -> Self {
        let (database, storage) = (context.database.clone(), context.storage.clone());
        let collector = Collector::new(database, storage, context.config.collector.clone());
        Self { context, collector, rest: Rest::of(PAUSE) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, CollectError> {
        if self.context.lead().is_none() {
            return Ok(Next::Wait);
        }
        let (metrics, began) = (&self.context.metrics.collection, Instant::now());
        let pass = self.collector.pass().await.inspect_err(|_| metrics.failed("database"))?;
        metrics.passed(&pass, began.elapsed());
        tell(&pass);
        self.rest.between(self.count()).await?;
        // Away storage is not asked again at once.
        Ok(if pass.is_full && pass.deletion.failures.is_empty() { Next::Again } else { Next::Wait })
    }

    async fn count(&self) -> Result<(), CollectError> {
        let states = pack::states(&self.context.database.client().await?).await?;
        // The lead may be lost meanwhile, and its gauges reset.
        if self.context.lead().is_some() {
            self.context.metrics.collection.counted(&states);
        }
        Ok(())
    }
}

fn tell(pass: &Pass) {
    if pass.revived.objects > 0 {
        tracing::warn!(
            objects = pass.revived.objects,
            "objects were condemned and turn out to be needed: they are kept; something named them without holding them"
        );
    }
    let (deleted, condemned) = (pass.deletion.deleted, pass.judged);
    if pass.versions + pass.trees + pass.of_deleted + deleted.objects + condemned.total() > 0 {
        tracing::info!(
            versions = pass.versions + pass.of_deleted,
            trees = pass.trees,
            condemned = condemned.dropped.objects + condemned.orphaned.objects,
            deleted = deleted.objects,
            freed_bytes = deleted.bytes,
            "collected what nothing needs"
        );
    }
}
