//! `drydock admin`: what needs the database itself, and for stored files object storage.

mod bootstrap;
mod gc;
mod migrate;
mod retention;

use clap::Subcommand;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Make the first key, an admin's
    ///
    /// Where there is a key already it is refused, unless --again is given; of several at once, one makes it.
    Bootstrap(bootstrap::BootstrapArgs),
    /// Bring the database to the schema of this build
    ///
    /// Safe to run again and beside running services. A database that was made by other means is compared: an identical one is
    /// stamped, a different one is refused with the differences and left as it is.
    Migrate(migrate::MigrateArgs),
    /// Free stored files that nothing needs any more
    ///
    /// The dispatcher does so all the time; this does it now, tells what would be done and why, or compares object storage with the
    /// database. Safe beside running services.
    Gc(Box<gc::GcArgs>),
    /// Set how many versions are kept, of a project or of a tenant's projects
    Retention(retention::RetentionArgs),
}

pub(super) async fn run(context: &Context, command: AdminCommand) -> Result<Exit, CliError> {
    match command {
        AdminCommand::Bootstrap(args) => bootstrap::run(context, args).await,
        AdminCommand::Migrate(args) => migrate::run(context, args).await,
        AdminCommand::Gc(args) => gc::run(context, *args).await,
        AdminCommand::Retention(args) => retention::run(context, args).await,
    }
}
