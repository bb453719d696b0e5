//! The way of one attempt, in order. Each stage takes what the one before left and gives what the next one needs.

use super::{
    Attempt,
    error::JobError,
    execute,
    finish::{self, Ended},
    prepare, push,
};

impl Attempt {
    /// Runs the attempt to one of its ends, whatever happens, and leaves nothing behind.
    pub(crate) async fn run(self) {
        let ended = match self.work().await {
            Ok(ended) => ended,
            Err(error) => Ended::by_fault(&self, &error).await,
        };
        finish::finish(&self, ended).await;
        self.leave().await;
    }

    async fn work(&self) -> Result<Ended, JobError> {
        let prepared = prepare::prepare(self).await.inspect_err(|error| {
            if error.blames_storage() {
                self.context.breaker.failed(&drydock_runtime::exit::chain(error));
            }
        })?;
        if self.claim.base.is_some() {
            self.context.breaker.worked();
        }
        let executed = execute::execute(self, &prepared).await?;
        let pushed = push::push(self, &prepared, &executed).await?;
        let log = self.log.finish().await.map_err(JobError::Log)?;
        Ok(Ended::new(&prepared, executed, pushed, log))
    }

    /// After the finish: the scratch directory goes, a long log becomes one object without holding the slot.
    async fn leave(self) {
        if let Err(error) = self.scratch.close().await {
            tracing::warn!(
                "failed to remove the scratch directory, left to the next start: {}",
                drydock_runtime::exit::chain(&error)
            );
        }
        drop(self.registration);
        if let Some(log) = self.log.close().await {
            drydock_runtime::tasks::spawn("seal", self.context.tasks.track_future(log.seal()));
        }
    }
}
