//! A webhook as people read it.

use crate::output::{Table, time};
use drydock_client::views::Webhook;

pub(super) fn describe(hook: &Webhook) -> String {
    let mut table = Table::new(&["webhook", &hook.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("name", hook.name.clone());
    field("url", hook.url.clone());
    field("events", if hook.events == ["*"] { "all".to_owned() } else { hook.events.join(", ") });
    if let Some(project) = &hook.project_id {
        field("project", project.clone());
    }
    field("status", standing(hook));
    if let Some(until) = hook.old_secret_until {
        field("old secret", format!("signs as well until {}", time(until)));
    }
    field("created", time(hook.created_at));
    table.render()
}

fn standing(hook: &Webhook) -> String {
    match (hook.disabled_at, hook.disabled_reason.as_deref(), hook.failing_since) {
        (Some(at), Some("gone"), _) => format!("disabled: the receiver answered 410 at {}", time(at)),
        (Some(at), _, _) => format!("disabled: nothing had arrived for days at {}", time(at)),
        (None, _, Some(since)) => format!("{}: nothing has arrived since {}", hook.status, time(since)),
        (None, _, None) => hook.status.clone(),
    }
}
