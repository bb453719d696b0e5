//! `drydock webhook ls`

use clap::Args;
use drydock_client::views::Webhook;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock webhook ls
  drydock --json webhook ls | jq -r '.items[] | select(.status != \"active\") | .id'")]
pub(in crate::command) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["webhooks"]);
    let table = Table::new(&["WEBHOOK", "NAME", "STATUS", "EVENTS", "CREATED", "URL"]);
    let row = |hook: &Webhook| {
        let (id, name, status) = (hook.id.clone(), hook.name.clone(), hook.status.clone());
        vec![id, name, status, hook.events.join(","), time(hook.created_at), hook.url.clone()]
    };
    list::show(context, args.paging, call, table, row).await
}
