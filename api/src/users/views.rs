//! A user as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::user::UserRow;
use drydock_domain::{Role, UserId};
use serde::Serialize;

/// A user.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserView {
    #[schema(value_type = Uuid)]
    id: UserId,
    name: String,
    /// None where an issuer gave none that it has looked at, or another user has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The most that a key of this user may do.
    #[schema(value_type = String)]
    role: Role,
    created_at: DateTime<Utc>,
    /// Since when the user's keys count no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<DateTime<Utc>>,
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        let UserRow { id, name, email, role, created_at, disabled_at, revision: _ } = row;
        Self { id, name, email, role, created_at, disabled_at }
    }
}
