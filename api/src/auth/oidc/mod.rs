//! Tokens of OIDC issuers: JSON Web Tokens (RFC 7519) with the profile of RFC 9068 as far as issuers keep to it, and the advice of RFC 8725.
//!
//! `settings` says which issuers, `fetch`, `key_set` and `known` have their keys, `check` judges a token, `claims` reads what it says,
//! `Tokens` puts them together with the database: who the bearer is here, and whether they count.

mod check;
mod claims;
mod fetch;
mod key_set;
mod known;
mod settings;
mod tokens;

pub(crate) use self::tokens::{TokenId, Tokens};
