//! `Fields`: the fields of one request, taken out one by one; what remains at the end was not asked for.

use serde_json::{Map, Value};

use super::{Fault, Row};
use crate::error::ApiError;

/// The fields not yet taken, and the faults found so far.
pub(crate) struct Fields {
    /// Where the fields are: `body`, `query` or `header`, then the names of what they are inside of.
    source: Vec<Value>,
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

    /// Takes an object whose fields have a table of their own: `read` is it, its faults are reported with these.
    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Self) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let values = match self.take(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(values)) => values,
            Some(_) => {
                self.refuse(name, Fault::new("dict_type", "Input should be a valid dictionary"));
                return Ok(None);
            }
        };
        let source = self.source.iter().cloned().chain([name.into()]).collect();
        match read(Self { source, values, taken: Vec::new(), faults: Vec::new() }) {
            Ok(value) => Ok(Some(value)),
            Err(ApiError::Invalid(rows)) => {
                let place = self.taken.len();
                self.faults.extend(rows.into_iter().map(|row| (place, row)));
                Ok(None)
            }
            Err(other) => Err(other),
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
        Self { source: vec![source.into()], values, taken: Vec::new(), faults: Vec::new() }
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

    /// Notes that a field is missing, unless something else was found wrong with it or inside it.
    pub(crate) fn missing(&mut self, name: &'static str) {
        let depth = self.source.len();
        if !self.faults.iter().any(|(_, row)| row.loc.get(depth).is_some_and(|inside| inside == name)) {
            self.refuse(name, Fault::missing());
        }
    }

    /// Notes a fault of a field already taken.
    pub(crate) fn refuse(&mut self, name: &'static str, fault: Fault) {
        let place = self.taken.iter().position(|taken| *taken == name).unwrap_or(self.taken.len());
        let loc = self.source.iter().cloned().chain([name.into()]).chain(fault.at).collect();
        self.faults.push((place, Row { loc, msg: fault.msg, kind: fault.kind }));
    }

    /// The request, or every fault: first those of known fields in their order, then the unknown fields.
    pub(crate) fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, ApiError> {
        self.faults.sort_by_key(|(place, _)| *place);
        let mut rows: Vec<Row> = self.faults.into_iter().map(|(_, row)| row).collect();
        rows.extend(self.values.keys().map(|name| Row {
            loc: self.source.iter().cloned().chain([name.as_str().into()]).collect(),
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

/// One field of the body that only the database, or the clock, could refuse.
pub(crate) fn refused(name: &'static str, fault: Fault) -> ApiError {
    let mut fields = Fields::new("body", Map::new());
    fields.refuse(name, fault);
    let unreported = || ApiError::Internal("a refused field was not reported".to_owned());
    fields.finish(|| None::<()>).err().unwrap_or_else(unreported)
}
