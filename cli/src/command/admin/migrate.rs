//! `drydock admin migrate`: the database's schema.

use clap::Args;
use drydock_database::{
    Database, DatabaseConfig,
    migrate::{self, Granted, Migrated, Mode, ServiceRoles, newest},
    schema,
};

use super::super::Context;
use crate::{CliError, Exit, output::Output};

#[derive(Debug, Args)]
#[command(after_help = "\
Services connect with roles of their own, which own nothing, so that row security holds for them. Make both once, as a superuser, and
name them with each migration, which grants them what they need; DRYDOCK_DATABASE_URL is the owner's here:
  CREATE ROLE drydock_api LOGIN PASSWORD '…';
  CREATE ROLE drydock_fleet LOGIN BYPASSRLS PASSWORD '…' IN ROLE pg_read_all_stats;

Examples:
  DRYDOCK_DATABASE_URL=postgres://drydock@127.0.0.1:5432/drydock drydock admin migrate --dry-run
  drydock admin migrate --api-role drydock_api --fleet-role drydock_fleet")]
pub(in crate::command) struct MigrateArgs {
    /// Tell what would be done, change nothing
    #[arg(long, group = "instead")]
    dry_run: bool,
    /// Only check: exit code 1 when the database is behind
    #[arg(long, group = "instead")]
    check: bool,
    /// Recognise a schema that has no migration history and record it; apply nothing
    #[arg(long, group = "instead")]
    stamp: bool,
    /// The role that the API connects with: grant it what it needs
    #[arg(long, env = "DRYDOCK_DATABASE_API_ROLE", value_name = "ROLE", requires = "fleet_role")]
    api_role: Option<String>,
    /// The role that dispatchers and workers connect with: grant it what it needs
    #[arg(long, env = "DRYDOCK_DATABASE_FLEET_ROLE", value_name = "ROLE", requires = "api_role")]
    fleet_role: Option<String>,
}

pub(super) async fn run(context: &Context, args: MigrateArgs) -> Result<Exit, CliError> {
    let url = drydock_database::config::url()?;
    let database = Database::new(&DatabaseConfig::default(), &url)?;
    if args.check {
        return check(&context.output, &database).await;
    }
    let mode = match args {
        MigrateArgs { dry_run: true, .. } => Mode::DryRun,
        MigrateArgs { stamp: true, .. } => Mode::Stamp,
        _ => Mode::Apply,
    };
    let migrated = migrate::migrate(&database, mode).await?;
    for line in tell(&migrated, mode) {
        context.output.line(&line)?;
    }
    if let (Mode::Apply, Some(api), Some(fleet)) = (mode, args.api_role, args.fleet_role) {
        let granted = migrate::grant(&database, &ServiceRoles { api: api.clone(), fleet: fleet.clone() }).await?;
        context.output.line(&format!("granted {api} what the API needs, and {fleet} what the fleet needs"))?;
        for note in notes(granted, &fleet) {
            context.output.note(&note);
        }
    }
    Ok(Exit::Ok)
}

async fn check(output: &Output, database: &Database) -> Result<Exit, CliError> {
    let (found, needed) = (schema::applied(&database.client().await?).await?, newest());
    if found < needed {
        output.line(&format!("behind: the schema is at {found}, this build needs {needed}"))?;
        output.note("run `drydock admin migrate`");
        return Ok(Exit::Failed);
    }
    output.line(&format!("the schema is at {found}, this build needs {needed}"))?;
    Ok(Exit::Ok)
}

/// What only a superuser can do, and why.
fn notes(granted: Granted, fleet: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if !granted.sees_sessions {
        notes.push(format!(
            "the fleet cannot warn of transactions that stay open: as a superuser, GRANT pg_read_all_stats TO {fleet}"
        ));
    }
    if !granted.passes_rows {
        notes.push(format!(
            "row security hides statistics from the fleet's plans, for nothing: as a superuser, ALTER ROLE {fleet} BYPASSRLS"
        ));
    }
    notes
}

fn tell(migrated: &Migrated, mode: Mode) -> Vec<String> {
    let Migrated { from, stamped, steps } = migrated;
    let mut lines = Vec::new();
    if let Some(known) = stamped {
        let verb = if mode == Mode::DryRun { "would stamp" } else { "stamped" };
        lines.push(format!("{verb} the database: its schema is that of migration {known}"));
    }
    let verb = if mode == Mode::DryRun { "would apply" } else { "applied" };
    lines.extend(steps.iter().map(|step| format!("{verb} {step}")));
    if lines.is_empty() {
        lines.push(match mode {
            Mode::Stamp if *from == 0 => "nothing to stamp: the database is empty".to_owned(),
            Mode::Stamp => format!("nothing to stamp: the database has a history, it is at {from}"),
            _ => format!("nothing to do: the schema is at {from}, this build needs {}", newest()),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_did() {
        let migrated = |from, stamped, steps: &[&str]| Migrated {
            from,
            stamped,
            steps: steps.iter().map(|&s| s.to_owned()).collect(),
        };
        let told = |m: &Migrated, mode| tell(m, mode).join("\n");
        assert_eq!(told(&migrated(0, None, &["V1__a", "V2__b"]), Mode::Apply), "applied V1__a\napplied V2__b");
        assert_eq!(
            told(&migrated(0, Some(1), &["V2__b"]), Mode::DryRun),
            "would stamp the database: its schema is that of migration 1\nwould apply V2__b"
        );
        assert!(told(&migrated(newest(), None, &[]), Mode::Apply).starts_with("nothing to do"));
        assert_eq!(told(&migrated(0, None, &[]), Mode::Stamp), "nothing to stamp: the database is empty");
    }
}
