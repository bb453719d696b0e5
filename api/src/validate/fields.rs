//! `Fields`: the fields of one request, taken out one by one; what remains at the end was not asked for.

use serde_json::{Map, Value};

use super::{Fault, Row};
use crate::error::ApiError;

/// The fields not yet taken, and the faults found so far.
pub(crate) struct Fields {
    source: &'static str,
    values: Map<String, Value>,
    /// The names taken, in order: the order of the report.
    taken: Vec<&'static str>,
    faults: Vec<(usize, Row)>,
}

impl Fields {
    /// The fields of a JSON body.
    pub(crate) fn body(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(values) => Ok(Self::new("body", values)),
            _ => Err(ApiError::Invalid(vec![Row {
                loc: vec!["body".into()],
                msg: "Input should be a valid dictionary or object to extract fields from".into(),
                kind: "model_attributes_type",
            }])),
        }
    }

    /// The parameters of a query string; a repeated one becomes a list.
    pub(crate) fn query(pairs: Vec<(String, String)>) -> Self {
        let mut values = Map::new();
        for (name, text) in pairs {
            match values.get_mut(&name) {
                Some(Value::Array(list)) => list.push(text.into()),
                Some(first) => *first = vec![first.take(), text.into()].into(),
                None => {
                    values.insert(name, text.into());
                }
            }
        }
        Self::new("query", values)
    }

    /// The headers: none is taken, one may be refused.
    pub(crate) fn headers() -> Self {
        Self::new("header", Map::new())
    }

    fn new(source: &'static str, values: Map<String, Value>) -> Self {
        Self { source, values, taken: Vec::new(), faults: Vec::new() }
    }

    /// Takes a field that may be absent or null.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&Value) -> Result<T, Fault>,
    ) -> Option<T> {
        match self.take(name) {
            None | Some(Value::Null) => None,
            Some(value) => self.checked(name, rule(&value)),
        }
    }

    /// Takes a field that must be there. `None` means that a fault was noted.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&Value) -> Result<T, Fault>,
    ) -> Option<T> {
        let outcome = self.take(name).map_or_else(|| Err(Fault::missing()), |value| rule(&value));
        self.checked(name, outcome)
    }

    /// Notes a fault of a field already taken.
    pub(crate) fn refuse(&mut self, name: &'static str, fault: Fault) {
        let place = self.taken.iter().position(|taken| *taken == name).unwrap_or(self.taken.len());
        let loc = [Value::from(self.source), name.into()].into_iter().chain(fault.at).collect();
        self.faults.push((place, Row { loc, msg: fault.msg, kind: fault.kind }));
    }

    /// The request, or every fault: first those of known fields in their order, then the unknown fields.
    pub(crate) fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, ApiError> {
        self.faults.sort_by_key(|(place, _)| *place);
        let mut rows: Vec<Row> = self.faults.into_iter().map(|(_, row)| row).collect();
        rows.extend(self.values.keys().map(|name| Row {
            loc: vec![self.source.into(), name.as_str().into()],
            msg: "Extra inputs are not permitted".into(),
            kind: "extra_forbidden",
        }));
        if !rows.is_empty() {
            return Err(ApiError::Invalid(rows));
        }
        build().ok_or_else(|| ApiError::Internal("a required field was neither taken nor refused".to_owned()))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.taken.push(name);
        self.values.remove(name)
    }

    fn checked<T>(&mut self, name: &'static str, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.refuse(name, fault)).ok()
    }
}
