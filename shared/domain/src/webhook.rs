//! What webhooks are told of.

use serde::{Deserialize, Serialize};

use crate::state::{UnknownName, words};

words! {
    /// An event that a webhook may ask for.
    WebhookEvent as "event of a webhook" {
        /// A job ended well.
        JobCompleted = "job.completed",
        /// A job failed, or we did.
        JobError = "job.error",
        /// A job was cancelled.
        JobCancelled = "job.cancelled",
        /// All jobs of a batch are over.
        BatchFinished = "batch.finished",
    }
}

/// The event that a person sends to see whether it arrives. Nobody asks for it beforehand.
pub const TEST_EVENT: &str = "webhook.test";

impl WebhookEvent {
    /// Whether it is about something of one project.
    pub const fn is_of_a_project(self) -> bool {
        !matches!(self, Self::BatchFinished)
    }
}
