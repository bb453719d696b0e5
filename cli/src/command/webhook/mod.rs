//! `drydock webhook …`

mod create;
mod deliveries;
mod describe;
mod list;
mod set;

use drydock_client::{
    Document,
    views::{Delivery, NewSecret, Webhook},
};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use self::describe::describe;
use super::{Context, Patience};
use crate::{CliError, Exit, output::time};

#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Have a URL told when jobs and batches end
    Create(create::CreateArgs),
    /// List webhooks, newest first
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Show a webhook and how it fares
    #[command(visible_alias = "show", after_help = "Example:\n  drydock webhook status WEBHOOK")]
    Status(OneArgs),
    /// Change, pause or resume a webhook
    Set(set::SetArgs),
    /// Remove a webhook; what is pending for it is sent no more
    #[command(after_help = "Example:\n  drydock webhook rm WEBHOOK")]
    Rm(OneArgs),
    /// Change the secret; the one before signs as well for 24 hours
    #[command(
        after_help = "Example:\n  drydock webhook rotate WEBHOOK > secret.txt\n\nWrites the secret, once: nobody can show it again."
    )]
    Rotate(OneArgs),
    /// Send a message that tells of nothing, to see whether it arrives
    #[command(
        after_help = "Example:\n  drydock webhook test WEBHOOK && drydock webhook deliveries WEBHOOK\n\nWrites the delivery's id."
    )]
    Test(OneArgs),
    /// List what was told, newest first: how often, with which answer, and when it is sent next
    Deliveries(deliveries::DeliveriesArgs),
    /// Send a delivery again at once, whatever became of it
    #[command(after_help = "Example:\n  drydock webhook redeliver WEBHOOK DELIVERY")]
    Redeliver(RedeliverArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The webhook
    webhook: String,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, Args)]
pub(super) struct RedeliverArgs {
    /// The webhook
    webhook: String,
    /// The delivery
    delivery: String,
    #[command(flatten)]
    patience: Patience,
}

impl WebhookCommand {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Create(args) => args.patience.timeout,
            Self::Ls(args) => args.patience.timeout,
            Self::Set(args) => args.patience.timeout,
            Self::Status(args) | Self::Rm(args) | Self::Rotate(args) | Self::Test(args) => args.patience.timeout,
            Self::Deliveries(args) => args.patience.timeout,
            Self::Redeliver(args) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, command: WebhookCommand) -> Result<Exit, CliError> {
    match command {
        WebhookCommand::Create(args) => create::run(context, args).await,
        WebhookCommand::Ls(args) => list::run(context, args).await,
        WebhookCommand::Status(args) => status(context, &args.webhook).await,
        WebhookCommand::Set(args) => set::run(context, args).await,
        WebhookCommand::Rm(args) => remove(context, &args.webhook).await,
        WebhookCommand::Rotate(args) => rotate(context, &args.webhook).await,
        WebhookCommand::Test(args) => send(context, &["webhooks", &args.webhook, "test"]).await,
        WebhookCommand::Deliveries(args) => deliveries::run(context, args).await,
        WebhookCommand::Redeliver(args) => {
            send(context, &["webhooks", &args.webhook, "deliveries", &args.delivery, "redeliver"]).await
        }
    }
}

async fn status(context: &Context, id: &str) -> Result<Exit, CliError> {
    let webhook: Document<Webhook> = context.client()?.get(["webhooks", id]).document().await?;
    context.output.answer(&webhook.raw, || describe(&webhook.value)).map(|()| Exit::Ok)
}

async fn remove(context: &Context, id: &str) -> Result<Exit, CliError> {
    context.client()?.delete(["webhooks", id]).bytes().await?;
    context.output.note(&format!("removed webhook {id}"));
    Ok(Exit::Ok)
}

async fn rotate(context: &Context, id: &str) -> Result<Exit, CliError> {
    // Sent once: with an answer that gets lost, the secret is, and the next rotation makes another.
    let client = context.client()?;
    let made: Document<NewSecret> = client.post(["webhooks", id, "rotate-secret"]).json(&json!({})).document().await?;
    let until = made.value.old_secret_until.map(time).unwrap_or_default();
    context.output.note(&format!("the secret is shown this once; the one before signs as well until {until}"));
    context.output.answer(&made.raw, || made.value.secret.clone()).map(|()| Exit::Ok)
}

async fn send(context: &Context, path: &[&str]) -> Result<Exit, CliError> {
    let sent: Document<Delivery> = context.client()?.post(path).json(&json!({})).document().await?;
    context.output.answer(&sent.raw, || sent.value.id.clone()).map(|()| Exit::Ok)
}
