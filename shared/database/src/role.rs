//! The database roles of services. They own nothing: row security holds for the API's, which sees the rows of the tenant it names
//! (migration V0106), and the fleet's works for every tenant. `drydock admin migrate` grants both their rights.

use deadpool_postgres::GenericClient;

use crate::DatabaseError;

/// What the policies of the fleet's roles are called, before the role's name.
pub(crate) const FLEET_POLICY: &str = "fleet ";

const NONE: &str = "";
const READ: &str = "SELECT";
const ADD: &str = "SELECT, INSERT";
const KEEP: &str = "SELECT, INSERT, UPDATE";
const ALL: &str = "SELECT, INSERT, UPDATE, DELETE";

/// What the API and the fleet may do with each table.
pub(crate) const RIGHTS: [(&str, &str, &str); 34] = [
    ("api_key", ALL, NONE),
    ("attempt", ALL, ALL),
    // Records are only ever added, and the leader chains them.
    ("audit_chain", READ, ADD),
    ("audit_pending", "INSERT", "SELECT, INSERT, DELETE"),
    ("audit_record", ADD, ADD),
    ("batch", ALL, ALL),
    ("batch_tally", ALL, ALL),
    ("event", ALL, ALL),
    ("firing", ALL, ALL),
    ("held_tree", READ, ALL),
    ("idempotency", ALL, ALL),
    ("job", ALL, ALL),
    ("job_dependency", ALL, ALL),
    ("leader", READ, ALL),
    ("log_chunk", ALL, ALL),
    ("pack", ALL, ALL),
    ("pool_count", READ, ALL),
    ("project", ALL, ALL),
    ("refinery_schema_history", READ, READ),
    ("schedule", ALL, ALL),
    ("session", ALL, ALL),
    ("tenant", KEEP, "SELECT, UPDATE"),
    ("tenant_count", ALL, ALL),
    ("tenant_tally", ALL, ALL),
    ("usage_cursor", READ, ALL),
    ("usage_day", ALL, ALL),
    // Who is let in is none of a worker's business: it runs what strangers wrote.
    ("user_account", ALL, NONE),
    ("user_identity", ALL, NONE),
    ("version", ALL, ALL),
    ("webhook", ALL, ALL),
    ("webhook_delivery", ALL, ALL),
    // The API registers the daemons that connect to it.
    ("worker", KEEP, ALL),
    ("workspace", ALL, READ),
    ("workspace_token", ALL, NONE),
];

const STANDING: &str = "SELECT r.rolname::text AS role, r.rolsuper, r.rolbypassrls,
    EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
               AND pg_has_role(c.relowner, 'MEMBER')) AS owns,
    EXISTS (SELECT FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = current_schema()::regnamespace
               AND starts_with(p.polname, $1) AND EXISTS (SELECT FROM unnest(p.polroles) o WHERE pg_has_role(o, 'MEMBER'))) AS is_fleet
  FROM pg_roles r WHERE r.rolname = current_user";
const LACKS: &str = "SELECT u.name || ' (' || u.may || ')' AS lacks FROM unnest($1::text[], $2::text[]) u (name, may)
   WHERE to_regclass(quote_ident(u.name)) IS NULL OR NOT has_table_privilege(quote_ident(u.name), u.may) LIMIT 1";

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The HTTP API: it works for one tenant at a time.
    Api,
    /// Dispatchers and workers: they work for all.
    Fleet,
}

/// Refuses a role that may do less than `service` needs, and one that may do more, unless that is `allowed`.
///
/// # Errors
/// The database does not answer, or the role does not fit.
pub(crate) async fn check(conn: &impl GenericClient, service: Service, allowed: bool) -> Result<(), DatabaseError> {
    let failed = || DatabaseError::query("read a role's rights");
    let row = conn.query_one(STANDING, &[&FLEET_POLICY]).await.map_err(failed())?;
    let excess = match service {
        _ if row.get("rolsuper") => Some("is a superuser"),
        _ if row.get("owns") => Some("owns Drydock's tables, or may become who does"),
        Service::Api if row.get("rolbypassrls") => Some("passes over row security"),
        Service::Api if row.get("is_fleet") => Some("is the fleet's and sees every tenant"),
        Service::Api | Service::Fleet => None,
    };
    let role: String = row.get("role");
    match excess {
        Some(excess) if !allowed => return Err(DatabaseError::Excessive { role, excess }),
        Some(excess) => {
            tracing::warn!(role, "the database role {excess}: nothing but our own care keeps tenants apart")
        }
        None => {}
    }
    let needed = RIGHTS.iter().flat_map(|(name, api, fleet)| {
        let rights = if service == Service::Api { api } else { fleet };
        rights.split(", ").filter(|right| !right.is_empty()).map(move |right| (*name, right))
    });
    let (tables, rights): (Vec<&str>, Vec<&str>) = needed.unzip();
    match conn.query_opt(LACKS, &[&tables, &rights]).await.map_err(failed())? {
        Some(row) => Err(DatabaseError::NotGranted { role, lacks: row.get("lacks") }),
        None => Ok(()),
    }
}
