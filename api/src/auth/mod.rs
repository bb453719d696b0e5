//! Who asks, and what they may: every request is turned into a [`Caller`] before a handler sees it, by one table of what each route needs.
//!
//! `bearer` reads the header, `keys` knows which keys count, `oidc` which tokens of an issuer do, `gate` whether any key exists at all, `table` what a route needs, `pages` what no page of elsewhere may, and
//! `layer` puts them together; `turn` keeps many requests from asking the same thing at once.

mod bearer;
mod caller;
mod freshness;
mod gate;
mod keys;
mod layer;
mod oidc;
mod pages;
mod table;
mod turn;

pub(crate) use self::{
    caller::{Actor, Caller},
    gate::Gate,
    keys::Keys,
    layer::authenticate,
    oidc::Tokens,
    table::needed,
};
