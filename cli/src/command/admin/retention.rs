//! `drydock admin retention`: what is kept of histories.

use std::time::Duration;

use clap::Args;
use drydock_database::{
    Database, DatabaseConfig,
    retention::{self, Retention},
};
use drydock_domain::ProjectId;
use drydock_runtime::config::positive_duration;

use super::super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(
    after_help = "A version is kept that either rule keeps, and the newest always. Without any rule a project has its tenant's, and a
tenant keeps everything. What is dropped stays in the list of versions; its files are gone for good a day later.

Examples:
  drydock admin retention --tenant default --keep-versions 50 --keep-for 30d
  drydock admin retention --project 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --keep-versions 5
  drydock admin retention --project 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90     # no rule of its own"
)]
pub(in crate::command) struct RetentionArgs {
    /// The project
    #[arg(long, value_name = "PROJECT", required_unless_present = "tenant", conflicts_with = "tenant")]
    project: Option<ProjectId>,
    /// The tenant's name: for its projects without a rule of their own
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Keep the newest so many versions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    keep_versions: Option<i32>,
    /// Keep versions younger than this, like 30d
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    keep_for: Option<Duration>,
}

pub(super) async fn run(context: &Context, args: RetentionArgs) -> Result<Exit, CliError> {
    let seconds = args.keep_for.map(|time| i32::try_from(time.as_secs().max(1)).unwrap_or(i32::MAX));
    let keep = Retention { versions: args.keep_versions, seconds };
    let client = Database::new(&DatabaseConfig::default(), &drydock_database::config::url()?)?.client().await?;
    let (whose, found) = match (args.project, args.tenant) {
        (Some(project), _) => (format!("project {project}"), retention::set_of_project(&client, project, keep).await?),
        (None, tenant) => {
            let tenant = tenant.unwrap_or_default();
            (format!("tenant {tenant}"), retention::set_of_tenant(&client, &tenant, keep).await?)
        }
    };
    if !found {
        context.output.warn(&format!("error: there is no {whose}"));
        return Ok(Exit::NotFound);
    }
    context.output.line(&format!("{whose} keeps {}", tell(keep)))?;
    Ok(Exit::Ok)
}

fn tell(keep: Retention) -> String {
    match (keep.versions, keep.seconds) {
        (None, None) => "what the level above says".to_owned(),
        (Some(versions), None) => format!("its newest {versions} versions"),
        (None, Some(seconds)) => format!("versions younger than {seconds} s, and the newest"),
        (Some(versions), Some(seconds)) => {
            format!("its newest {versions} versions, and all younger than {seconds} s")
        }
    }
}
