//! `drydock usage`

use clap::{Args, ValueEnum};
use drydock_client::{
    Document,
    views::{Now, Used, UsedDays},
};

use super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, mebibytes, seconds},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock usage
  drydock usage --by project --since 2026-11-01 --until 2026-11-30
  drydock --json usage --by batch | jq '[.items[].slot_seconds] | add'

Jobs are counted some seconds after their end, on the UTC day on which they ended. SLOTS is how long their attempts held
slots; STORED what of their files nobody had stored before; TOKENS IN and OUT what their agents say they read and wrote. What most was used by comes first; days and batches come newest
first. `--by tenant` needs the scope tenants:read.")]
pub(super) struct UsageArgs {
    /// What to tell apart
    #[arg(long, value_enum, default_value_t = By::Day)]
    by: By,
    /// The first UTC day, like 2026-11-01; 29 days before the last by default
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// The last UTC day, included; today by default
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Project,
    Batch,
    Tenant,
}

impl By {
    const fn column(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Project => "PROJECT",
            Self::Batch => "BATCH",
            Self::Tenant => "TENANT",
        }
    }
}

pub(super) async fn run(context: &Context, args: UsageArgs) -> Result<Exit, CliError> {
    let UsageArgs { by, since, until, paging, .. } = args;
    let client = context.client()?;
    let call = || {
        let call = match by {
            By::Day => client.get(["usage"]).query("by", "day"),
            By::Project => client.get(["usage"]).query("by", "project"),
            By::Batch => client.get(["usage"]).query("by", "batch"),
            By::Tenant => client.get(["usage", "tenants"]),
        };
        call.query_opt("since", since.as_ref()).query_opt("until", until.as_ref())
    };
    let mut table = Table::new(&[
        by.column(),
        "NAME",
        "COMPLETED",
        "ERROR",
        "CANCELLED",
        "ATTEMPTS",
        "SLOTS",
        "LOGS",
        "STORED",
        "TOKENS IN",
        "TOKENS OUT",
    ]);
    if by != By::Day {
        return list::show(context, paging, call, table, row).await;
    }
    let days: Document<UsedDays> = call().document().await?;
    for used in &days.value.items {
        table.row(row(used));
    }
    context.output.answer(&days.raw, || table.render())?;
    if let Some(now) = days.value.now {
        context.output.note(&standing(now));
    }
    Ok(Exit::Ok)
}

/// `12.3 MiB of 100.0 MiB are stored now, 3 of 500 jobs wait`
fn standing(now: Now) -> String {
    let of = |most: Option<String>| most.map(|most| format!(" of {most}")).unwrap_or_default();
    let mut text =
        format!("{}{} are stored now", mebibytes(now.stored_bytes), of(now.max_storage_bytes.map(mebibytes)));
    if let (Some(queued), Some(most)) = (now.queued_jobs, now.max_queued_jobs) {
        text.push_str(&format!(", {queued} of {most} jobs wait"));
    }
    text
}

fn row(used: &Used) -> Vec<String> {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let bytes = |bytes: Option<u64>| bytes.map(mebibytes).unwrap_or_default();
    vec![
        used.day.clone().or_else(|| used.id.clone()).unwrap_or_default(),
        used.name.clone().unwrap_or_default(),
        used.jobs.completed.to_string(),
        used.jobs.error.to_string(),
        used.jobs.cancelled.to_string(),
        number(used.attempts),
        seconds(used.slot_seconds),
        bytes(used.log_bytes),
        bytes(used.stored_bytes),
        used.tokens.input.to_string(),
        used.tokens.output.to_string(),
    ]
}
