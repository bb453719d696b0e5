//! A setting that is a list: `a, b` or `["a", "b"]`; an empty text is an empty list.

use std::str::FromStr;

/// Trimmed items, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl List {
    /// Whether `*` is among them.
    pub fn has_wildcard(&self) -> bool {
        self.0.iter().any(|item| item == "*")
    }
}

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let items: Vec<String> = if text.starts_with('[') {
            serde_json::from_str(text).map_err(|error| format!("not a JSON list of texts: {error}"))?
        } else {
            text.split(',').map(str::to_owned).collect()
        };
        let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
        Ok(Self(items.map(str::to_owned).collect()))
    }
}
