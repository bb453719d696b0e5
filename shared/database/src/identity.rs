//! The `user_identity` table: which user a subject of an issuer is. Found by issuer and subject alone; made when first met.

use deadpool_postgres::GenericClient;
use drydock_domain::{Role, TenantId, UserId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{DatabaseError, again};

const SIGN_IN: &str =
    "SELECT home, its_user, its_role, user_off, tenant_off FROM dd_sign_in_v1($1, $2, $3, $4, $5, $6, $7, $8)";
const OF_USER: &str = "SELECT issuer, subject FROM user_identity WHERE tenant_id = $1 AND user_id = $2";

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// The name of the tenant.
    pub tenant: &'a str,
    /// Who vouches for them.
    pub issuer: &'a str,
    /// Who they are to the issuer.
    pub subject: &'a str,
    /// For people; of somebody new.
    pub name: &'a str,
    /// Looked at by the issuer; of somebody new.
    pub email: Option<&'a str>,
    /// Of somebody new.
    pub role: Role,
}

/// Who they are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// This user, with this role at most.
    User {
        /// Whose things they see.
        tenant: TenantId,
        /// Who they are.
        user: UserId,
        /// The most they may do.
        role: Role,
    },
    /// A user that is disabled.
    Disabled,
    /// The tenant is disabled.
    TenantDisabled,
    /// There is no tenant of this name.
    NoTenant,
}

/// The user that comes, made if they come for the first time.
///
/// # Errors
/// The database does not answer: somebody new may have been made.
pub async fn sign_in(conn: &impl GenericClient, who: &SignIn<'_>) -> Result<SignedIn, DatabaseError> {
    const OPERATION: &str = "sign a user in";
    let (fresh, role, note) = (UserId::generate().uuid(), who.role.as_str(), Uuid::now_v7());
    let parameters: [&(dyn ToSql + Sync); 8] =
        [&who.tenant, &who.issuer, &who.subject, &fresh, &who.name, &who.email, &role, &note];
    let rows = again::rows(conn, OPERATION, SIGN_IN, &parameters).await?;
    let Some(row) = rows.first() else { return Ok(SignedIn::NoTenant) };
    let user = match row.get::<_, Option<Uuid>>("its_user") {
        Some(user) if !row.get::<_, bool>("tenant_off") => user.into(),
        _ => return Ok(SignedIn::TenantDisabled),
    };
    if row.get("user_off") {
        return Ok(SignedIn::Disabled);
    }
    let bad = |error: drydock_domain::state::UnknownName| DatabaseError::Row {
        operation: OPERATION,
        reason: error.to_string(),
    };
    let role = row.get::<_, &str>("its_role").parse().map_err(bad)?;
    Ok(SignedIn::User { tenant: row.get::<_, Uuid>("home").into(), user, role })
}

/// A subject of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who vouches.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}

/// Who the tenant's user is to an issuer; none for one that was made here.
///
/// # Errors
/// The database does not answer.
pub async fn of_user(
    conn: &impl GenericClient,
    tenant: TenantId,
    user: UserId,
) -> Result<Option<Identity>, DatabaseError> {
    let failed = || DatabaseError::query("read a user's identity");
    let statement = conn.prepare_cached(OF_USER).await.map_err(failed())?;
    let row = conn.query_opt(&statement, &[&tenant.uuid(), &user.uuid()]).await.map_err(failed())?;
    Ok(row.map(|row| Identity { issuer: row.get("issuer"), subject: row.get("subject") }))
}
