//! `drydock audit ls`

use chrono::{DateTime, Utc};
use clap::Args;
use std::collections::BTreeMap;

use drydock_client::views::{AuditChange, AuditEntry};

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock audit ls --since 2025-11-21T00:00:00Z
  drydock audit ls --action key. --limit 500
  drydock audit ls --object PROJECT
  drydock --json audit ls | jq -r '.items[] | select(.outcome == \"refused\") | [.at, .action, .path] | @tsv'

ON is what was asked of, MADE what came to be by it. No OUTCOME: it runs, or was cut off and may have been done.")]
pub(in crate::command) struct ListArgs {
    /// Actions that begin so, like `job.submit` or `key.`
    #[arg(long)]
    action: Option<String>,
    /// Only what this key or user asked for
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only what was asked of this project, job, batch, key, …, or made it
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// At or after this time
    #[arg(long, value_name = "TIME")]
    since: Option<DateTime<Utc>>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || {
        client
            .get(["audit"])
            .query_opt("action", args.action.as_ref())
            .query_opt("actor", args.actor.as_ref())
            .query_opt("object", args.object.as_ref())
            .query_opt("since", args.since.map(|since| since.to_rfc3339()))
    };
    let table = Table::new(&["AT", "WHO", "ACTION", "ON", "MADE", "OUTCOME", "FROM", "CHANGED"]);
    let row = |entry: &AuditEntry| {
        let told = |text: &Option<String>| text.clone().unwrap_or_default();
        let outcome = match (&entry.outcome, entry.status) {
            (Some(outcome), Some(status)) => format!("{outcome} ({status})"),
            (outcome, _) => told(outcome),
        };
        let (target, created) = (told(&entry.target), told(&entry.created));
        vec![
            time(entry.at),
            who(entry),
            entry.action.clone(),
            target,
            created,
            outcome,
            told(&entry.ip),
            changed(&entry.changes),
        ]
    };
    list::show(context, args.paging, call, table, row).await
}

/// `role: member > owner, weight: 3`
fn changed(changes: &BTreeMap<String, AuditChange>) -> String {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = changes.iter().map(|(field, AuditChange { from, to })| match from {
        Some(from) => format!("{field}: {} > {}", text(from), text(to)),
        None => format!("{field}: {}", text(to)),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn who(entry: &AuditEntry) -> String {
    match (&entry.user_name, &entry.key_name) {
        (Some(user), Some(key)) => format!("{user} (key {key})"),
        (Some(user), None) => user.clone(),
        (None, Some(key)) => format!("key {key}"),
        (None, None) => entry.actor.kind.clone(),
    }
}
