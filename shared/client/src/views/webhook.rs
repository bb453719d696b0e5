//! Webhooks and what was told to them.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A webhook.
#[derive(Clone, Debug, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// For lists.
    pub name: String,
    /// Where messages go.
    pub url: String,
    /// What it is told of; `*`: everything.
    pub events: Vec<String>,
    /// Only the jobs of this project.
    pub project_id: Option<String>,
    /// `active`, `failing`, `paused` or `disabled`.
    pub status: String,
    /// Since when nothing has arrived.
    pub failing_since: Option<DateTime<Utc>>,
    /// Since when nothing is sent any more.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// Until when the secret before this one signs as well.
    pub old_secret_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A webhook with its new secret. No `Debug`: the secret is for who asked alone.
#[derive(Clone, Deserialize)]
pub struct NewSecret {
    /// The webhook's id.
    pub id: String,
    /// What signatures are checked with.
    pub secret: String,
    /// Until when the secret before this one signs as well.
    pub old_secret_until: Option<DateTime<Utc>>,
}

/// A delivery.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Its id, and that of the message.
    pub id: String,
    /// What it tells of.
    #[serde(rename = "type")]
    pub event: String,
    /// `pending`, `sending`, `delivered` or `failed`.
    pub status: String,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    pub last_status: Option<u16>,
    /// What went wrong then.
    pub last_error: Option<String>,
    /// How long the last try took, in milliseconds.
    pub last_latency_ms: Option<u32>,
    /// The job that ended.
    pub job_id: Option<String>,
    /// The batch that ended.
    pub batch_id: Option<String>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}
