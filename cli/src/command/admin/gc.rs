//! `drydock admin gc`: a collection now, what one would do, or an audit of object storage.

mod tell;

use std::time::Duration;

use clap::Args;
use drydock_collector::{AuditOptions, Collector, CollectorConfig, Pass};
use drydock_database::{Database, DatabaseConfig, pack, retention};
use drydock_runtime::config::duration;
use drydock_storage::{Credentials, Storage, StorageConfig, StorageMetrics};

use super::super::Context;
use crate::{CliError, Exit};

/// Reading all rows may take longer than any request of a service.
const STATEMENT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1: an audit found orphans that are left, or objects that are missing; or deletions failed.

Examples:
  drydock admin gc --dry-run
  drydock admin gc
  drydock admin gc --audit --delete-orphans"
)]
pub(in crate::command) struct GcArgs {
    /// Tell what would be done and why, and why not; change nothing
    #[arg(long, conflicts_with = "audit")]
    dry_run: bool,
    /// Compare object storage with the database: objects nobody knows of, and objects that are missing
    #[arg(long)]
    audit: bool,
    /// Delete the objects nobody knows of
    #[arg(long, requires = "audit")]
    delete_orphans: bool,
    /// Objects younger than this are no orphans yet
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    orphan_age: Duration,
    #[command(flatten)]
    collector: CollectorConfig,
    #[command(flatten)]
    storage: StorageConfig,
}

pub(super) async fn run(context: &Context, args: GcArgs) -> Result<Exit, CliError> {
    let config = DatabaseConfig { database_statement_timeout: STATEMENT, ..DatabaseConfig::default() };
    let database = Database::new(&config, &drydock_database::config::url()?)?;
    database.check().await?;
    if args.dry_run {
        return explain(context, &database, &args.collector).await;
    }
    let storage = storage(&args.storage)?;
    storage.check().await?;
    let collector = Collector::new(database, storage, args.collector);
    if args.audit {
        let options = AuditOptions { orphan_age: args.orphan_age, delete: args.delete_orphans };
        let audit = collector.audit(options).await?;
        tell::lines(&context.output, &tell::audit(&audit, options))?;
        let left = audit.orphans.tally.objects - audit.deletion.deleted.objects;
        return Ok(if left + audit.missing.tally.objects > 0 { Exit::Failed } else { Exit::Ok });
    }
    collect(context, &collector).await
}

fn storage(config: &StorageConfig) -> Result<Storage, CliError> {
    let metrics = StorageMetrics::register(&Default::default());
    let metrics = metrics.map_err(|error| CliError::Usage(format!("cannot count requests: {error}")))?;
    Ok(Storage::connect(config, &Credentials::from_env()?, metrics))
}

async fn explain(context: &Context, database: &Database, config: &CollectorConfig) -> Result<Exit, CliError> {
    let client = database.client().await?;
    let pending = retention::pending(&client, config.gc_grace, config.keep_failed_workspaces).await?;
    let explained = pack::explain(&client, config.gc_grace, config.gc_condemned_for).await?;
    tell::lines(&context.output, &tell::dry_run(&pending, &explained, config))?;
    Ok(Exit::Ok)
}

/// Passes until all projects were looked at and no step had as much to do as it may.
async fn collect(context: &Context, collector: &Collector) -> Result<Exit, CliError> {
    loop {
        let pass: Pass = collector.pass().await?;
        tell::lines(&context.output, &tell::pass(&pass))?;
        if !pass.deletion.failures.is_empty() {
            return Ok(Exit::Failed);
        }
        if pass.is_round && !pass.is_full {
            return Ok(Exit::Ok);
        }
    }
}
