//! `Query`: the query string as fields, and the parameters all lists share.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Query as Pairs},
    http::request::Parts,
};
use drydock_database::page::Cursor;

use crate::validate::{Fault, Fields, rules};

/// Items of a list's page at most, and by default.
pub(crate) const MAX_PAGE: i64 = 500;
const DEFAULT_PAGE: usize = 50;

/// The query string's parameters in order.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Pairs::try_from_uri(&parts.uri).map_or_else(|_| Vec::new(), |Pairs(pairs)| pairs)))
    }
}

impl Query {
    /// The first value of a parameter, without taking it.
    pub(crate) fn first(&self, name: &str) -> Option<serde_json::Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str().into())
    }

    /// The parameter `name` apart from the others.
    pub(crate) fn split(self, name: &str) -> (Self, Self) {
        let (named, others) = self.0.into_iter().partition(|(known, _)| known == name);
        (Self(named), Self(others))
    }

    /// The parameters, to be taken out one by one.
    pub(crate) fn fields(self) -> Fields {
        Fields::query(self.0)
    }
}

/// Where a page starts and how long it is.
pub(crate) struct Paging {
    pub(crate) after: Cursor,
    pub(crate) limit: usize,
}

impl Paging {
    /// Takes `limit` and `cursor`.
    pub(crate) fn take(fields: &mut Fields) -> Self {
        let limit = fields.optional("limit", rules::number(1, MAX_PAGE)).unwrap_or(DEFAULT_PAGE);
        let cursor = fields.optional("cursor", |value| {
            let text = value.as_str().unwrap_or_default();
            text.parse().map_err(|_| Fault::value("Input should be a next_cursor of this list"))
        });
        Self { after: cursor.unwrap_or(Cursor::start()), limit }
    }
}
