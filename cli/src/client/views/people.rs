//! Users and tenants.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::NewKey;
use crate::output::time;

/// A user.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// Once in a tenant, where it is known.
    pub email: Option<String>,
    /// The most that its keys may do.
    pub role: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it counts no more.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// A tenant.
#[derive(Clone, Debug, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its name, unique.
    pub name: String,
    /// Its share of the fleet.
    pub weight: u32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it counts no more.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// A tenant that was just made.
#[derive(Clone, Deserialize)]
pub struct NewTenant {
    /// Its id.
    pub id: String,
    /// An owner's key of it.
    pub first_key: NewKey,
}

impl User {
    /// Whether it counts, for people.
    pub fn state(&self) -> String {
        state(self.disabled_at)
    }
}

impl Tenant {
    /// Whether it counts, for people.
    pub fn state(&self) -> String {
        state(self.disabled_at)
    }
}

fn state(disabled_at: Option<DateTime<Utc>>) -> String {
    disabled_at.map_or_else(|| "active".to_owned(), |at| format!("disabled since {}", time(at)))
}

/// Who the caller is to the issuer of their token.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// Who vouches.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}
