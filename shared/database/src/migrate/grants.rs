//! What the roles of services may do, granted anew after each migration, so that new tables have their grants too. Granting twice
//! changes nothing.

use std::time::Duration;

use drydock_runtime::Backoff;
use tokio_postgres::{Client, Row, error::SqlState};

use crate::{
    DatabaseError,
    role::{FLEET_POLICY, RIGHTS},
};

/// The roles that services connect with; they must exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRoles {
    /// Of the API.
    pub api: String,
    /// Of dispatchers and workers.
    pub fleet: String,
}

/// What grants of tables cannot give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The fleet sees how long sessions of other roles have been open, and so warns of those that keep tables from being cleaned.
    pub sees_sessions: bool,
    /// Row security is not in the way of the fleet's plans. Under a policy that lets it see everything PostgreSQL still hides the
    /// statistics of columns from operators that are not leakproof, those of enums among them.
    pub passes_rows: bool,
}

const ROLE: &str = "SELECT r.rolbypassrls, r.rolsuper OR EXISTS (SELECT FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND pg_has_role(r.oid, c.relowner, 'MEMBER')) AS above
  FROM pg_roles r WHERE r.rolname = $1";
const SCHEMA: &str = "SELECT current_schema()::text AS name";
const TABLES: &str = "SELECT c.relname::text AS name, c.relrowsecurity AND NOT EXISTS (
      SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = $1::text::name) AS lacks_policy,
    EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = $2::text::name) AS api_was_fleet
  FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' ORDER BY c.relname";

const SEES_SESSIONS: &str = "SELECT pg_has_role($1::text, 'pg_read_all_stats', 'USAGE') AS sees";

/// Grants both roles what their services need of each table there is.
///
/// # Errors
/// A role does not exist or is above grants, the owner of the tables is somebody else, or a table stays locked.
pub(super) async fn grant(client: &mut Client, roles: &ServiceRoles) -> Result<Granted, DatabaseError> {
    let failed = || DatabaseError::query("grant rights to services");
    if passes_rows(client, &roles.api).await? {
        let reason = "it has BYPASSRLS, and the API's role must see one tenant's rows at a time";
        return Err(DatabaseError::Grant { role: roles.api.clone(), reason });
    }
    let passes_rows = passes_rows(client, &roles.fleet).await?;
    if roles.api == roles.fleet {
        let reason = "the API's role must be another than the fleet's, which sees every tenant";
        return Err(DatabaseError::Grant { role: roles.api.clone(), reason });
    }
    let schema: String = client.query_one(SCHEMA, &[]).await.map_err(failed())?.get("name");
    let (schema, both) = (quoted(&schema), format!("{}, {}", quoted(&roles.api), quoted(&roles.fleet)));
    let all = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {both}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {both}"
    );
    client.batch_execute(&all).await.map_err(failed())?;
    let policies = [policy_of(&roles.fleet), policy_of(&roles.api)];
    for table in client.query(TABLES, &[&policies[0], &policies[1]]).await.map_err(failed())? {
        in_turns(client, &statements(roles, &table, passes_rows)).await?;
    }
    let row = client.query_one(SEES_SESSIONS, &[&roles.fleet]).await.map_err(failed())?;
    Ok(Granted { sees_sessions: row.get("sees"), passes_rows })
}

/// What makes the grants of one table as they should be, whatever they were.
fn statements(roles: &ServiceRoles, row: &Row, passes_rows: bool) -> String {
    let name: &str = row.get("name");
    let (table, api, fleet) = (quoted(name), quoted(&roles.api), quoted(&roles.fleet));
    // A table of a newer release is that release's business.
    let Some((_, of_api, of_fleet)) = RIGHTS.iter().find(|(known, ..)| *known == name) else { return String::new() };
    let mut statements = format!("REVOKE ALL ON {table} FROM {api}, {fleet};");
    for (rights, role) in [(of_api, &api), (of_fleet, &fleet)] {
        if !rights.is_empty() {
            statements += &format!("GRANT {rights} ON {table} TO {role};");
        }
    }
    if row.get("lacks_policy") && !passes_rows {
        let policy = quoted(&policy_of(&roles.fleet));
        statements += &format!("CREATE POLICY {policy} ON {table} TO {fleet} USING (true);");
    }
    if row.get("api_was_fleet") {
        let policy = quoted(&policy_of(&roles.api));
        statements += &format!("DROP POLICY {policy} ON {table};");
    }
    statements
}

/// Whether row security does not hold for a role that is there and needs grants.
async fn passes_rows(client: &Client, role: &str) -> Result<bool, DatabaseError> {
    let row = client.query_opt(ROLE, &[&role]).await.map_err(DatabaseError::query("look a role up"))?;
    let reason = match row {
        None => "there is none of this name: CREATE ROLE makes it, which Drydock leaves to you, password and all",
        Some(row) if row.get("above") => {
            "it is a superuser or owns Drydock's tables; services need a role that does neither"
        }
        Some(row) => return Ok(row.get("rolbypassrls")),
    };
    Err(DatabaseError::Grant { role: role.to_owned(), reason })
}

/// One table a transaction, and short waits for its lock, as migrations have them.
async fn in_turns(client: &mut Client, statements: &str) -> Result<(), DatabaseError> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
    loop {
        let Err(error) = client.batch_execute(statements).await else { return Ok(()) };
        let locked = [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED];
        if backoff.tries() >= super::turns::TURNS || !error.code().is_some_and(|code| locked.contains(&code)) {
            return Err(DatabaseError::query("grant rights to services")(error));
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

/// The policy by which a role sees every tenant's rows.
fn policy_of(role: &str) -> String {
    format!("{FLEET_POLICY}{role}")
}

/// As an identifier (PostgreSQL manual, §4.1.1).
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
