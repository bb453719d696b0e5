//! Users and tenants.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::NewKey;

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
    /// Most projects it may have.
    pub max_projects: Option<u64>,
    /// Most slots it holds at once.
    pub max_running: Option<u64>,
    /// Most jobs of no batch that wait.
    pub max_queued_jobs: Option<u64>,
    /// Those that wait, where there is such a quota.
    pub queued_jobs: Option<u64>,
    /// Most lines that its batches hold.
    pub max_held_jobs: Option<u64>,
    /// Most bytes of objects and logs.
    pub max_storage_bytes: Option<u64>,
    /// Bytes of objects and logs.
    #[serde(default)]
    pub stored_bytes: u64,
}

/// A tenant that was just made.
#[derive(Clone, Deserialize)]
pub struct NewTenant {
    /// Its id.
    pub id: String,
    /// An owner's key of it.
    pub first_key: NewKey,
}

/// Who the caller is to the issuer of their token.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// Who vouches.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}
