//! In which form data is written.

use clap::ValueEnum;
use serde_json::{Value, value::RawValue};

/// The forms of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// The API's JSON, byte for byte
    Json,
    /// One JSON value a line; of a list, its items
    Ndjson,
    /// YAML 1.2
    Yaml,
}

/// Where answers have their lists.
const LISTS: [&str; 3] = ["items", "files", "checks"];

impl Format {
    /// What the API said, in this form. What is no JSON stays as it is.
    pub(super) fn render(self, raw: &[u8]) -> Vec<u8> {
        let text = match self {
            Self::Table | Self::Json => None,
            Self::Ndjson => lines(raw),
            Self::Yaml => yaml(raw),
        };
        let mut text = text.map_or_else(|| raw.to_vec(), String::into_bytes);
        if !(text.ends_with(b"\n") || self == Self::Ndjson && text.is_empty()) {
            text.push(b'\n');
        }
        text
    }
}

/// Each item on a line of its own, as it came.
fn lines(raw: &[u8]) -> Option<String> {
    let whole: &RawValue = serde_json::from_slice(raw).ok()?;
    let items = LISTS.iter().find_map(|name| {
        let fields: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(raw).ok()?;
        serde_json::from_str::<Vec<&RawValue>>(fields.get(*name)?.get()).ok()
    });
    let items = items.unwrap_or_else(|| vec![whole]);
    items.into_iter().map(|item| compact(item).map(|line| line + "\n")).collect()
}

/// On one line; what is on one already keeps its bytes.
fn compact(item: &RawValue) -> Option<String> {
    if !item.get().contains('\n') {
        return Some(item.get().to_owned());
    }
    serde_json::from_str::<Value>(item.get()).ok().map(|value| value.to_string())
}

fn yaml(raw: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(raw).ok()?;
    serde_saphyr::to_string(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: Format, raw: &str) -> String {
        String::from_utf8(format.render(raw.as_bytes())).unwrap()
    }

    #[test]
    fn json_keeps_every_byte() {
        assert_eq!(rendered(Format::Json, "{\"b\": 1, \"a\":1.50}"), "{\"b\": 1, \"a\":1.50}\n");
    }

    #[test]
    fn a_list_is_its_items_a_line_each() {
        assert_eq!(
            rendered(Format::Ndjson, r#"{"items":[{"b":1,"a":2},{"c":1.50}],"next_cursor":"x"}"#),
            "{\"b\":1,\"a\":2}\n{\"c\":1.50}\n"
        );
        assert_eq!(rendered(Format::Ndjson, "{\"version\":1,\"files\":[\n{\"a\":\n1}]}"), "{\"a\":1}\n");
        assert_eq!(rendered(Format::Ndjson, r#"{"items":[]}"#), "");
        assert_eq!(rendered(Format::Ndjson, "{\"id\":1}\n"), "{\"id\":1}\n");
        assert_eq!(rendered(Format::Ndjson, r#"{"items":3}"#), "{\"items\":3}\n");
    }

    #[test]
    fn yaml_does_not_take_a_text_for_something_else() {
        let text = rendered(
            Format::Yaml,
            r#"{"a":["yes","1","null","~","1e3","2025-01-01",": x","- y","a\nb","", "é"],"count":1,"f":0.5,"t":true,"z":null,"o":{},"l":[]}"#,
        );
        for line in ["count: 1", "f: 0.5", "t: true", "z: null"] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        for quoted in ["yes", "1", "null", "~", "1e3"] {
            let bare = format!("- {quoted}");
            assert!(!text.lines().any(|line| line.trim() == bare), "{quoted} is quoted in {text}");
        }
    }
}
