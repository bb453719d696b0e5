//! The database roles of services. They own nothing, so that row security holds for them: the API's sees the rows of the tenant it
//! names (migration V0106), the fleet's those of every tenant. `drydock admin migrate` grants both their rights.

use deadpool_postgres::GenericClient;

use crate::DatabaseError;

/// What the policies of the fleet's roles are called, before the role's name.
pub(crate) const FLEET_POLICY: &str = "fleet ";

const RIGHTS: &str = "SELECT r.rolname::text AS role, r.rolsuper OR r.rolbypassrls AS passes,
    EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
               AND pg_has_role(c.relowner, 'USAGE')) AS owns,
    EXISTS (SELECT FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = current_schema()::regnamespace
               AND starts_with(p.polname, $1) AND EXISTS (SELECT FROM unnest(p.polroles) o WHERE pg_has_role(o, 'USAGE'))) AS is_fleet
  FROM pg_roles r WHERE r.rolname = current_user";

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The HTTP API: it works for one tenant at a time.
    Api,
    /// Dispatchers and workers: they work for all.
    Fleet,
}

/// Refuses a role that row security does not hold for, unless that is `allowed`.
///
/// # Errors
/// The database does not answer, or the role may do more than `service` needs.
pub(crate) async fn check(conn: &impl GenericClient, service: Service, allowed: bool) -> Result<(), DatabaseError> {
    let row = conn.query_one(RIGHTS, &[&FLEET_POLICY]).await.map_err(DatabaseError::query("read a role's rights"))?;
    let excess = match service {
        _ if row.get("passes") => "passes over row security",
        _ if row.get("owns") => "owns Drydock's tables",
        Service::Api if row.get("is_fleet") => "is the fleet's and sees every tenant",
        Service::Api | Service::Fleet => return Ok(()),
    };
    let role: String = row.get("role");
    if allowed {
        tracing::warn!(role, "the database role {excess}: only our own care keeps one tenant's rows from another");
        return Ok(());
    }
    Err(DatabaseError::Excessive { role, excess })
}
