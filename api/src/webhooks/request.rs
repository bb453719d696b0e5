//! What a webhook may say, new or changed: each line a field and its rule.

use drydock_domain::{ProjectId, WebhookEvent};
use drydock_webhook::{Target, Vault};
use serde_json::Value;

use crate::{
    error::ApiError,
    state::App,
    validate::{Fault, Fields, refused, rules},
};

/// Most webhooks of a tenant.
pub(crate) const MAX_WEBHOOKS: i32 = 20;

const EVENTS: &str = "'job.completed', 'job.error', 'job.cancelled', 'batch.finished' or, alone, '*'";
const ALL: &str = "*";

const NO_KEY: ApiError = ApiError::Unavailable {
    detail: "Webhooks need a key that their secrets are kept with: the operator sets DRYDOCK_WEBHOOK_KEY (32 random bytes in base64) \
             for the API and the dispatcher",
    cause: None,
};

/// The fields that a creation and a change share, each as given.
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) url: Option<Target>,
    pub(super) events: Option<Vec<WebhookEvent>>,
    pub(super) paused: Option<bool>,
}

/// A webhook as asked for.
pub(super) struct WebhookRequest {
    pub(super) name: String,
    pub(super) url: Target,
    pub(super) events: Vec<WebhookEvent>,
    pub(super) project: Option<ProjectId>,
    pub(super) paused: bool,
}

impl WebhookRequest {
    /// Reads a body.
    pub(super) fn read(app: &App, body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let given = Given::take(app, &mut fields, true);
        let project = fields.optional("project_id", rules::id);
        let events = given.events.unwrap_or_default();
        if project.is_some() && !of_a_project(&events) {
            fields.refuse("events", not_of_a_project());
        }
        fields.finish(|| {
            Some(Self { name: given.name?, url: given.url?, events, project, paused: given.paused.unwrap_or_default() })
        })
    }
}

impl Given {
    /// Reads the body of a change.
    pub(super) fn read(app: &App, body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let given = Self::take(app, &mut fields, false);
        fields.finish(|| Some(given))
    }

    fn take(app: &App, fields: &mut Fields, new: bool) -> Self {
        let url = |value: &Value| {
            let text = rules::text(0, usize::MAX)(value)?;
            Target::parse(&text, &app.webhooks).map_err(|error| Fault::value(error.to_string()))
        };
        Self {
            name: if new { fields.required("name", rules::title) } else { fields.optional("name", rules::title) },
            url: if new { fields.required("url", url) } else { fields.optional("url", url) },
            events: fields.optional("events", events),
            paused: fields.optional("paused", rules::boolean),
        }
    }
}

/// Whether a webhook of one project can be told of all these.
pub(super) fn of_a_project(events: &[WebhookEvent]) -> bool {
    events.iter().all(|event| event.is_of_a_project())
}

pub(super) fn not_of_a_project() -> Fault {
    Fault::value("A webhook of one project is told of its jobs alone: leave out batch.finished, or project_id")
}

/// Looks up where `url` points.
///
/// # Errors
/// 422: to no place that is allowed.
pub(super) async fn check(app: &App, url: &Target) -> Result<(), ApiError> {
    url.check(&app.webhooks).await.map_err(|error| refused("url", Fault::value(error.to_string())))
}

/// The keys that secrets are kept with.
///
/// # Errors
/// 503: this server has none.
pub(super) fn vault(app: &App) -> Result<&Vault, ApiError> {
    app.vault.as_ref().ok_or(NO_KEY)
}

/// Events, each once; none stands for all, which is written `["*"]`.
fn events(value: &Value) -> Result<Vec<WebhookEvent>, Fault> {
    if value.as_array().is_some_and(|list| list.len() == 1 && list[0] == ALL) {
        return Ok(Vec::new());
    }
    let events = rules::words::<WebhookEvent>(EVENTS)(value)?;
    if events.is_empty() {
        return Err(Fault::new("too_short", "List should have at least 1 item after validation, not 0"));
    }
    match (1..events.len()).find(|at| events[..*at].contains(&events[*at])) {
        Some(at) => Err(Fault::value("the same event is named twice").at(at)),
        None => Ok(events),
    }
}

/// As [`events`] reads them.
pub(super) fn told(events: &[WebhookEvent]) -> Vec<&'static str> {
    if events.is_empty() { vec![ALL] } else { events.iter().map(|event| event.as_str()).collect() }
}
