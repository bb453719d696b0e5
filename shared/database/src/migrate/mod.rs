//! Bringing a database to this build's schema: apply, list, or recognise a schema that was made by other means. The only
//! place that runs DDL, and the only user of an advisory lock (two migrators at once must not race).

use refinery::{Migration, Runner, Target};
use tokio_postgres::{Client, NoTls};

use crate::{Database, DatabaseError, schema};

mod compare;
mod grants;
mod turns;
mod embedded {
    refinery::embed_migrations!("../../migrations");
}

pub use grants::{Granted, ServiceRoles};

/// Held by whoever migrates; the number is arbitrary and must never change.
const LOCK: &str = "SELECT pg_advisory_lock(7165430274)";
const UNSTAMPED: &str = "SELECT to_regclass('refinery_schema_history') IS NULL
  AND EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r') AS unstamped";

/// What a migration run did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The newest migration before.
    pub from: u32,
    /// Set when an unstamped, identical schema was recognised as this migration's.
    pub stamped: Option<u32>,
    /// The migrations applied (or pending, in a dry run), in order: `V12__claim`.
    pub steps: Vec<String>,
}

/// What to do with the pending migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Recognise an unstamped schema, then apply what is pending.
    Apply,
    /// Change nothing, only tell.
    DryRun,
    /// Recognise an unstamped schema and record it; apply nothing.
    Stamp,
}

/// The newest migration this build needs.
pub fn newest() -> u32 {
    embedded::migrations::runner().get_migrations().iter().map(version).max().unwrap_or(0)
}

/// A name for exactly these migrations, for caches of migrated databases.
pub fn fingerprint() -> String {
    let sum = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .fold(0_u64, |sum, step| sum.rotate_left(7) ^ step.checksum());
    format!("{sum:016x}")
}

/// Brings `database` to the newest migration, or tells what that would take.
///
/// # Errors
/// PostgreSQL cannot be reached, a migration fails (it leaves no trace: each runs in its own transaction), an applied
/// migration differs from this build's, or an unstamped schema differs from every one of ours.
pub async fn migrate(database: &Database, mode: Mode) -> Result<Migrated, DatabaseError> {
    alone(database, async |client| apply(database, client, mode).await).await
}

/// Grants the roles of services what they need of the tables there are now.
///
/// # Errors
/// PostgreSQL cannot be reached, a role does not exist or is above grants, or `database`'s role does not own the tables.
pub async fn grant(database: &Database, roles: &ServiceRoles) -> Result<Granted, DatabaseError> {
    alone(database, async |client| grants::grant(client, roles).await).await
}

/// Does `act` on a connection of its own, while nobody else migrates.
async fn alone<T>(
    database: &Database,
    act: impl AsyncFnOnce(&mut Client) -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    let (mut client, connection) = database.url().connect(NoTls).await.map_err(DatabaseError::Connect)?;
    let connection = drydock_runtime::tasks::spawn("migrate connection", connection);
    let outcome = locked(&mut client, act).await;
    drop(client);
    let _closed = connection.await;
    outcome
}

async fn locked<T>(
    client: &mut Client,
    act: impl AsyncFnOnce(&mut Client) -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    let failed = || DatabaseError::query("prepare the migration");
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 0").await.map_err(failed())?;
    client.query_one(LOCK, &[]).await.map_err(failed())?;
    client.batch_execute(turns::TURN).await.map_err(failed())?;
    act(client).await
}

async fn apply(database: &Database, client: &mut Client, mode: Mode) -> Result<Migrated, DatabaseError> {
    let failed = || DatabaseError::query("prepare the migration");
    let from = schema::applied(&database.client().await?).await?;
    let unstamped: bool = client.query_one(UNSTAMPED, &[]).await.map_err(failed())?.get("unstamped");
    let runner = embedded::migrations::runner();
    let mut stamped = None;
    if unstamped {
        let known = compare::recognise(client, runner.get_migrations()).await?;
        stamped = Some(known);
        if mode != Mode::DryRun {
            let fake = Runner::new(runner.get_migrations()).set_target(Target::FakeVersion(known.cast_signed()));
            fake.run_async(client).await.map_err(DatabaseError::Migrate)?;
        }
    }
    let base = stamped.unwrap_or(from);
    let steps = names(runner.get_migrations().iter().filter(|migration| version(migration) > base));
    if mode == Mode::Apply {
        // A newer release may have added migrations this one does not know: they expand, so both run.
        turns::apply(client, &runner.set_abort_missing(false)).await?;
    }
    Ok(Migrated { from, stamped, steps: if mode == Mode::Stamp { Vec::new() } else { steps } })
}

fn version(migration: &Migration) -> u32 {
    migration.version().unsigned_abs()
}

fn names<'a>(migrations: impl Iterator<Item = &'a Migration>) -> Vec<String> {
    let mut sorted: Vec<&Migration> = migrations.collect();
    sorted.sort();
    sorted.into_iter().map(ToString::to_string).collect()
}
