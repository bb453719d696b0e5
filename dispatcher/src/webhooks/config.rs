//! Settings of webhooks.

use std::time::Duration;

use drydock_database::webhook::{Patience, Shares};
use drydock_runtime::config::positive_duration;
use drydock_webhook::WebhookConfig;

use super::Pauses;

/// How webhooks are told. Without `DRYDOCK_WEBHOOK_KEY`, with which the API keeps their secrets, none is.
#[derive(Clone, Debug, clap::Args)]
pub struct WebhooksConfig {
    /// Where they may point
    #[command(flatten)]
    pub places: WebhookConfig,
    /// Messages to webhooks that are on their way at once, from this process
    #[arg(long, env = "DRYDOCK_WEBHOOK_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub webhook_concurrency: u16,
    /// Of these, those to one webhook, from all processes; a webhook whose last message did not arrive gets one at a time
    #[arg(long, env = "DRYDOCK_WEBHOOK_CONCURRENCY_EACH", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub webhook_concurrency_each: u16,
    /// Of these, those to all webhooks of one tenant, from all processes
    #[arg(long, env = "DRYDOCK_WEBHOOK_CONCURRENCY_TENANT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub webhook_concurrency_tenant: u16,
    /// How long a webhook may take to answer
    #[arg(long, env = "DRYDOCK_WEBHOOK_TIMEOUT", default_value = "10s", value_parser = positive_duration)]
    pub webhook_timeout: Duration,
    /// Pauses between the tries of a message, separated by commas; a fifth is added at random. After the last it is given up
    #[arg(long, env = "DRYDOCK_WEBHOOK_RETRIES", default_value = "5s,5m,30m,2h,5h,10h,14h,20h,24h")]
    pub webhook_retries: Pauses,
    /// A webhook that nothing has reached for so long is disabled
    #[arg(long, env = "DRYDOCK_WEBHOOK_DISABLE_AFTER", default_value = "5d", value_parser = positive_duration)]
    pub webhook_disable_after: Duration,
    /// How long the log keeps messages that arrived or were given up
    #[arg(long, env = "DRYDOCK_WEBHOOK_LOG_KEEP", default_value = "7d", value_parser = positive_duration)]
    pub webhook_log_keep: Duration,
}

impl WebhooksConfig {
    /// When a webhook is disabled.
    pub(crate) fn patience(&self) -> Patience {
        let disable_after = self.webhook_disable_after;
        Patience { disable_after, calm: self.webhook_retries.longest().max(disable_after / 2) }
    }

    /// What one webhook and one tenant may have under way.
    pub(crate) fn shares(&self) -> Shares {
        Shares { webhook: self.webhook_concurrency_each.into(), tenant: self.webhook_concurrency_tenant.into() }
    }
}
