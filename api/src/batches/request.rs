//! What a batch may say, new or changed: each line a field and its rule.

use drydock_database::batch::BatchSettings;
use serde_json::Value;

use crate::validate::{Fields, rules};

/// Longest name, in characters.
pub(crate) const MAX_NAME: usize = 200;
const MAX_MINUTES: i64 = i32::MAX as i64;
const MAX_TOKENS: i64 = 1_000_000_000_000_000;

/// The fields that a creation and a change share, each as given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) name: Option<String>,
    pub(super) labels: Option<Value>,
    pub(super) settings: BatchSettings,
}

impl Given {
    pub(super) fn take(fields: &mut Fields, new: bool) -> Self {
        let text = rules::text(1, MAX_NAME);
        let name = if new { fields.required("name", text) } else { fields.optional("name", text) };
        let labels = fields.optional("labels", rules::labels);
        let count = || rules::number(1, i32::MAX.into());
        let settings = BatchSettings {
            canary: fields.optional("canary", count()),
            max_running: fields.optional("max_running", count()),
            max_failure_rate: fields.optional("max_failure_rate", rules::share),
            budget_slot_s: fields.optional("budget_slot_minutes", rules::number::<i64>(1, MAX_MINUTES)).map(|m| m * 60),
            budget_tokens: fields.optional("budget_tokens", rules::number::<i64>(1, MAX_TOKENS)),
        };
        Self { name, labels, settings }
    }
}
