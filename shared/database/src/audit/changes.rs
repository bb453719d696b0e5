//! What a request changed, as its record keeps it: by field, what it was and what it is. Short, whatever was sent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Longest text that is kept of a value, in characters.
const MAX_TEXT: usize = 200;
/// Longest JSON of a list or an object that is kept, in bytes.
const MAX_JSON: usize = 1000;

/// Fields that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes(BTreeMap<&'static str, Change>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Change {
    /// Left out where nobody knows: others changed the same thing meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    to: Value,
}

impl Changes {
    /// Of these fields, which must hold no secret, those that `after` has otherwise than `before`. A field that is left out is null.
    pub fn between(before: &impl Serialize, after: &impl Serialize, fields: &[&'static str]) -> Self {
        let (before, after) = (value(before), value(after));
        let changed = fields.iter().filter(|field| before.get(field) != after.get(field));
        Self(
            changed
                .map(|field| (*field, Change { from: Some(kept(&before, field)), to: kept(&after, field) }))
                .collect(),
        )
    }

    /// Of these fields, which must hold no secret, what `after` has, where it is not known what was before.
    pub fn to(after: &impl Serialize, fields: &[&'static str]) -> Self {
        let after = value(after);
        Self(fields.iter().map(|field| (*field, Change { from: None, to: kept(&after, field) })).collect())
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}

fn kept(object: &Value, field: &str) -> Value {
    match object.get(field).cloned().unwrap_or_default() {
        Value::String(text) => match text.char_indices().nth(MAX_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]).into(),
            None => text.into(),
        },
        value if value.to_string().len() > MAX_JSON => "(too long to be kept)".into(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changed_of_the_fields_is_kept_and_it_is_short() {
        let before = json!({"name": "a", "role": "member", "secret": "x", "labels": {}});
        let long = "é".repeat(300);
        let after =
            json!({"name": long, "role": "member", "secret": "y", "limit": 3, "labels": {"a": "b".repeat(2000)}});
        let told =
            serde_json::to_value(Changes::between(&before, &after, &["name", "role", "limit", "labels"])).unwrap();
        let expected = json!({
            "name": {"from": "a", "to": format!("{}…", "é".repeat(200))},
            "limit": {"from": null, "to": 3},
            "labels": {"from": {}, "to": "(too long to be kept)"},
        });
        assert_eq!(told, expected);
        assert_eq!(serde_json::to_value(Changes::to(&after, &["role"])).unwrap(), json!({"role": {"to": "member"}}));
        assert!(Changes::between(&before, &before, &["name", "role"]).is_empty());
    }
}
