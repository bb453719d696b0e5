//! Webhooks and deliveries as clients see them.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use drydock_database::webhook::{DeliveryRow, WebhookRow};
use drydock_domain::{BatchId, DeliveryId, JobId, ProjectId, Scope, WebhookId};
use drydock_webhook::SigningSecret;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::request::told;
use crate::{auth::Caller, extract::head_tag, keys::secret_response};

/// A webhook.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WebhookView {
    #[schema(value_type = Uuid)]
    id: WebhookId,
    name: String,
    /// Without `webhooks:write` its scheme and host alone.
    url: String,
    /// What it is told of; `["*"]`: everything, with what later releases add.
    events: Vec<&'static str>,
    /// Only the jobs of this project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// `active`, `failing` (nothing arrives at present), `paused` or `disabled`.
    status: &'static str,
    /// Since when nothing has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<DateTime<Utc>>,
    /// `gone`: the receiver answered 410; `failing`: nothing has arrived for days. `paused: false` ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<&'static str>,
    /// Until then the secret before this one signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deliveries_path: String,
    /// What signatures are checked with, in the answer that made it: nobody can show it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip)]
    revision: i32,
}

impl WebhookView {
    /// As `caller` may see it: paths of such URLs are often secrets, which whoever may not change them need not know.
    pub(super) fn of(row: WebhookRow, caller: &Caller) -> Self {
        let mut view = Self::from(row);
        if !caller.scopes.holds(Scope::WebhooksWrite) {
            view.url = host_only(&view.url);
        }
        view
    }
}

/// `https://example.org/…` of a longer URL.
fn host_only(url: &str) -> String {
    let origin = url.parse::<reqwest::Url>().map(|url| url.origin().ascii_serialization());
    format!("{}/…", origin.unwrap_or_default())
}

impl From<WebhookRow> for WebhookView {
    fn from(row: WebhookRow) -> Self {
        let status = match (row.disabled, row.paused, row.failing_since) {
            (Some(_), _, _) => "disabled",
            (None, true, _) => "paused",
            (None, false, Some(_)) => "failing",
            (None, false, None) => "active",
        };
        Self {
            id: row.id,
            name: row.name,
            url: row.url,
            events: told(&row.events),
            project_id: row.project_id,
            status,
            failing_since: row.failing_since,
            disabled_at: row.disabled.map(|(at, _)| at),
            disabled_reason: row.disabled.map(|(_, reason)| reason.as_str()),
            old_secret_until: row.old_secret_until,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deliveries_path: format!("/api/v1/webhooks/{}/deliveries", row.id),
            secret: None,
            revision: row.revision,
        }
    }
}

impl WebhookView {
    /// Counts its changes.
    pub(super) const fn revision(&self) -> i32 {
        self.revision
    }

    /// What the audit log may keep: of the URL the host, because with many services the rest is a secret.
    pub(super) fn noted(&self) -> serde_json::Value {
        let host = self.url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
        serde_json::json!({"name": self.name, "url_host": host, "events": self.events, "status": self.status})
    }

    /// The answer with an entity tag, for `If-Match`.
    pub(super) fn answer(row: WebhookRow, caller: &Caller) -> Response {
        let view = Self::of(row, caller);
        let mut response = Json(&view).into_response();
        response.headers_mut().extend(head_tag(view.revision).map(|tag| (header::ETAG, tag)));
        response
    }

    /// The answer that shows the secret, once.
    pub(super) fn with_secret(row: WebhookRow, secret: &SigningSecret, status: StatusCode) -> Response {
        let view = Self { secret: Some(secret.text().expose_secret().to_owned()), ..row.into() };
        let mut response = secret_response(&format!("/api/v1/webhooks/{}", view.id), &view);
        *response.status_mut() = status;
        response.headers_mut().extend(head_tag(view.revision).map(|tag| (header::ETAG, tag)));
        response
    }
}

/// A delivery: one event told to one webhook.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryView {
    /// Also the message's `webhook-id`, the same with each try.
    #[schema(value_type = Uuid)]
    id: DeliveryId,
    /// The event, or `webhook.test`.
    #[serde(rename = "type")]
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// `pending`, `sending`, `delivered` or `failed`.
    status: &'static str,
    /// How often it was sent.
    attempts: i32,
    /// When it is sent next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<i32>,
    /// What went wrong then: `address_refused`, `dns`, `connect`, `tls`, `timeout`, `broken`, `redirect`, `gone`, `status`, `key` or `no_job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// How long the last try took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_latency_ms: Option<i32>,
    created_at: DateTime<Utc>,
    /// When it arrived or was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            event: row.event,
            job_id: row.job_id,
            batch_id: row.batch_id,
            status: row.state.as_str(),
            attempts: row.attempts,
            next_attempt_at: row.due_at,
            last_attempt_at: row.last_at,
            last_status: row.last_status,
            last_error: row.last_error,
            last_latency_ms: row.last_ms,
            created_at: row.created_at,
            finished_at: row.ended_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::host_only;

    #[test]
    fn scheme_host_and_port_are_told_and_nothing_else() {
        for (url, told) in [
            ("https://example.org/services/s3cr3t?token=x", "https://example.org/…"),
            ("https://example.org?token=x", "https://example.org/…"),
            ("https://example.org#x", "https://example.org/…"),
            ("http://user:s3cr3t@example.org:8080/x", "http://example.org:8080/…"),
            ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/…"),
            ("no URL", "/…"),
        ] {
            assert_eq!(host_only(url), told, "{url}");
        }
    }
}
