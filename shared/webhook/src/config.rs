//! Settings that the API and the dispatcher share.

use crate::policy::{Allowed, Policy};

/// Where webhooks may point.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WebhookConfig {
    /// Hosts and ranges of addresses that webhooks may point to although they are private, and by http:// too; separated by commas, like
    /// `10.0.0.0/8,receiver.internal`. Give the API and the dispatcher the same
    #[arg(long, env = "DRYDOCK_WEBHOOK_ALLOW_PRIVATE", default_value = "")]
    pub webhook_allow_private: Allowed,
}

impl WebhookConfig {
    /// The rules these make.
    pub fn policy(&self) -> Policy {
        Policy::new(self.webhook_allow_private.clone())
    }
}
