//! Hand-made validation: JSON or a query string in, typed values out, every fault reported together in field order.
//! The rules of one field are in `rules`; what fields a request has is the request's own table.

mod fields;
pub(crate) mod rules;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Value, json};

pub(crate) use self::fields::{Fields, refused};

/// One fault of one field: a row of `detail`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    loc: Vec<Value>,
    msg: Cow<'static, str>,
    kind: &'static str,
}

impl Row {
    /// The row as the client sees it.
    pub(crate) fn to_json(&self) -> Value {
        json!({"loc": self.loc, "msg": self.msg, "type": self.kind})
    }
}

/// What is wrong with a value, without saying where the value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// Where inside the value: an index or a key.
    at: Option<Value>,
    msg: Cow<'static, str>,
    kind: &'static str,
}

impl Fault {
    pub(crate) fn new(kind: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { at: None, msg: msg.into(), kind }
    }

    /// A rule of ours that has no name in the vocabulary of types.
    pub(crate) fn value(msg: impl Into<Cow<'static, str>>) -> Self {
        Self::new("value_error", msg)
    }

    pub(crate) fn missing() -> Self {
        Self::new("missing", "Field required")
    }

    pub(crate) fn at(mut self, at: impl Into<Value>) -> Self {
        self.at = Some(at.into());
        self
    }
}
