//! `drydock key ls`

use chrono::{DateTime, Utc};
use clap::Args;
use drydock_client::views::Key;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock key ls
  drydock --json key ls | jq -r '.items[] | select(.revoked_at == null) | .id'

USED is when a key was last used, to a minute or so.")]
pub(in crate::command) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["keys"]);
    let table = Table::new(&["KEY", "NAME", "PREFIX", "ROLE", "STATE", "USED", "CREATED"]);
    let row = |key: &Key| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), time);
        let (id, name, prefix) = (key.id.clone(), key.name.clone(), key.prefix.clone());
        let state = validity(key.revoked_at, key.expires_at);
        vec![id, name, prefix, key.role.clone(), state, used, time(key.created_at)]
    };
    list::show(context, args.paging, call, table, row).await
}

/// Whether a key or token counts, and how long.
pub(in crate::command) fn validity(revoked_at: Option<DateTime<Utc>>, expires_at: Option<DateTime<Utc>>) -> String {
    match (revoked_at, expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) if at <= Utc::now() => "expired".to_owned(),
        (None, Some(at)) => format!("until {}", time(at)),
        (None, None) => "valid".to_owned(),
    }
}
