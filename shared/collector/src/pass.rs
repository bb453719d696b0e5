//! One pass: every step once, each bounded, safe to repeat and to be made by two processes at the same time.

use std::sync::{Mutex, PoisonError};

use drydock_database::{
    Client, Database, DatabaseError,
    pack::{self, Judged, Tally},
    retention::{self, DeadLog},
};
use drydock_domain::ProjectId;
use drydock_runtime::exit::chain;
use drydock_storage::Storage;

use crate::{CollectError, CollectorConfig, Deletion, delete::delete_all};

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Versions that no retention kept.
    pub versions: u64,
    /// Trees of failed attempts.
    pub trees: u64,
    /// Versions and trees of deleted projects.
    pub of_deleted: u64,
    /// Deleted projects of which nothing is left.
    pub projects: u64,
    /// Logs of deleted projects.
    pub logs: u64,
    /// Objects looked at.
    pub judged: Judged,
    /// Condemned, but needed at the last look.
    pub revived: Tally,
    /// What went out of the bucket.
    pub deletion: Deletion,
    /// Whether a step had as much to do as it may: another pass should follow at once.
    pub is_full: bool,
    /// Whether the look at the projects' retentions came to its end.
    pub is_round: bool,
}

/// Collects; cheap to make. Remembers how far it looked, which matters to nobody else.
#[derive(Debug)]
pub struct Collector {
    pub(crate) database: Database,
    pub(crate) storage: Storage,
    config: CollectorConfig,
    looked: Mutex<Option<ProjectId>>,
}

impl Collector {
    /// A collector of this database and bucket.
    pub const fn new(database: Database, storage: Storage, config: CollectorConfig) -> Self {
        Self { database, storage, config, looked: Mutex::new(None) }
    }

    /// Runs one pass. Objects that cannot be deleted are counted, and left for the next one.
    ///
    /// # Errors
    /// The database does not answer; what was done stands.
    pub async fn pass(&self) -> Result<Pass, CollectError> {
        let mut pass = Pass::default();
        let client = self.database.client().await?;
        // One that fails keeps neither the others nor what follows from running.
        let steps = [
            self.retain(&client, &mut pass).await,
            self.drop_trees(&client, &mut pass).await,
            self.free_logs(&client, &mut pass).await,
            self.free_projects(&client, &mut pass).await,
        ];
        pass.judged = pack::condemn(&client, self.config.gc_grace, self.config.gc_batch).await?;
        pass.note(pass.judged.total(), self.config.gc_batch);
        let doom =
            pack::doom(&client, self.config.gc_condemned_for, self.config.gc_settle, self.config.gc_batch).await?;
        drop(client);
        pass.revived = doom.revived;
        pass.note(doom.doomed.len() as u64, self.config.gc_batch);
        pass.deletion.add(delete_all(&self.database, &self.storage, doom.doomed).await?);
        steps.into_iter().collect::<Result<(), _>>()?;
        Ok(pass)
    }

    async fn retain(&self, client: &Client, pass: &mut Pass) -> Result<(), DatabaseError> {
        let (batch, looked) = (self.config.gc_batch, *self.looked());
        let retained = retention::retain(client, looked, batch, batch, self.config.gc_grace).await?;
        *self.looked() = retained.last;
        pass.versions = retained.expired.unsigned_abs().into();
        pass.is_round = retained.last.is_none();
        pass.note(pass.versions, batch);
        Ok(())
    }

    async fn drop_trees(&self, client: &Client, pass: &mut Pass) -> Result<(), DatabaseError> {
        let trees = retention::expire_trees(client, self.config.keep_failed_workspaces, self.config.gc_batch).await?;
        pass.trees = trees.unsigned_abs().into();
        pass.note(pass.trees, self.config.gc_batch);
        Ok(())
    }

    /// Before the projects: one is done when its logs are gone, too.
    async fn free_logs(&self, client: &Client, pass: &mut Pass) -> Result<(), DatabaseError> {
        let dead = retention::dead_logs(client, self.config.gc_grace, self.config.gc_batch.into()).await?;
        for log in dead {
            match self.delete_log(client, &log).await {
                Ok(()) => pass.logs += 1,
                Err(CollectError::Database(error)) => return Err(error),
                Err(CollectError::Storage(error)) => {
                    tracing::warn!(attempt = %log.attempt, "failed to delete a log: {}", chain(&error));
                    *pass.deletion.failures.entry(error.kind().as_str()).or_default() += 1;
                    return Ok(());
                }
            }
        }
        pass.note(pass.logs, self.config.gc_batch);
        Ok(())
    }

    /// A log is its attempt's alone, and nobody writes one after its end: its key is not used again.
    async fn delete_log(&self, client: &Client, log: &DeadLog) -> Result<(), CollectError> {
        let keys = self.storage.keys(log.tenant);
        for segment in retention::segments(client, log.attempt).await? {
            self.storage.delete(&keys.log_segment(log.attempt, segment)).await?;
        }
        if log.sealed {
            self.storage.delete(&keys.log(log.attempt)).await?;
        }
        Ok(retention::forget_log(client, log.attempt).await?)
    }

    async fn free_projects(&self, client: &Client, pass: &mut Pass) -> Result<(), DatabaseError> {
        let mut after = None;
        for _ in 0..self.config.gc_batch {
            let Some(freed) = retention::free_project(client, after, self.config.gc_batch).await? else { break };
            let dropped = freed.dropped.unsigned_abs().into();
            pass.of_deleted += dropped;
            pass.projects += u64::from(freed.done);
            pass.note(dropped, self.config.gc_batch);
            after = Some(freed.deleted);
        }
        Ok(())
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Option<ProjectId>> {
        // Any value is a place to go on from.
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    const fn note(&mut self, done: u64, most: i32) {
        self.is_full |= done >= most.unsigned_abs() as u64;
    }
}
