//! `drydock webhook deliveries`

use clap::Args;
use drydock_client::views::Delivery;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock webhook deliveries WEBHOOK
  drydock --json webhook deliveries WEBHOOK | jq -r '.items[] | select(.status == \"failed\") | .id'

LAST is the last answer's status, or what went wrong. They are kept for some days.")]
pub(in crate::command) struct DeliveriesArgs {
    /// The webhook
    webhook: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: DeliveriesArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["webhooks", &args.webhook, "deliveries"]);
    let table = Table::new(&["DELIVERY", "TYPE", "STATUS", "TRIES", "LAST", "MS", "NEXT", "OF", "CREATED"]);
    list::show(context, args.paging, call, table, row).await
}

fn row(delivery: &Delivery) -> Vec<String> {
    let last = delivery.last_status.map(|status| status.to_string()).or_else(|| delivery.last_error.clone());
    let of = delivery.job_id.clone().or_else(|| delivery.batch_id.clone());
    vec![
        delivery.id.clone(),
        delivery.event.clone(),
        delivery.status.clone(),
        delivery.attempts.to_string(),
        last.unwrap_or_default(),
        delivery.last_latency_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        delivery.next_attempt_at.map(time).unwrap_or_default(),
        of.unwrap_or_default(),
        time(delivery.created_at),
    ]
}
