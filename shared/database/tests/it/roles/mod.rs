//! Row security (migration V0106) as the services' roles meet it: AU-13 and AU-18 of the catalogue.

mod rows;

use drydock_database::{Client, Database, DatabaseConfig, DatabaseError, migrate, role::Service};
use drydock_domain::TenantId;
use drydock_testing::TestDatabase;
use secrecy::SecretString;
use tokio_postgres::error::SqlState;

/// Tables that hold nothing of a tenant: a new one belongs here only if that is true of it.
const NOBODYS: [&str; 6] =
    ["audit_pending", "leader", "pool_count", "refinery_schema_history", "usage_cursor", "worker"];

fn open(url: &SecretString) -> Database {
    let config = DatabaseConfig { database_pool_size: 2, ..DatabaseConfig::default() };
    Database::new(&config, url).unwrap()
}

async fn refused(client: &Client, sql: &str) {
    let error = client.batch_execute(sql).await.expect_err(sql);
    let denied = error.as_db_error().unwrap();
    assert_eq!(denied.code(), &SqlState::INSUFFICIENT_PRIVILEGE, "{sql}: {denied:?}");
    // The words of a trigger that stands behind the grants.
    assert!(!denied.message().contains("append-only"), "{sql}: {denied:?}");
}

/// How many rows name each of `tenants`, by table.
async fn seen(client: &Client, tables: &[String], tenants: &[TenantId]) -> Vec<(String, Vec<i64>)> {
    let mut seen = Vec::new();
    for table in tables {
        let mut counts = Vec::new();
        for tenant in tenants {
            let sql = format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%{tenant}%'");
            counts.push(client.query_one(&sql, &[]).await.unwrap().get(0));
        }
        seen.push((table.clone(), counts));
    }
    seen
}

fn all(tables: &[String], counts: &[i64]) -> Vec<(String, Vec<i64>)> {
    tables.iter().map(|table| (table.clone(), counts.to_vec())).collect()
}

async fn two_tenants() -> (TestDatabase, Vec<String>, [TenantId; 2]) {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let tenants = [TenantId::generate(), TenantId::generate()];
    let mut tables = Vec::new();
    for tenant in tenants {
        tables = rows::fill(&client, tenant).await;
    }
    (database, tables, tenants)
}

/// Red when a table is made without a policy.
#[tokio::test]
async fn every_table_is_under_row_security_or_said_to_be_nobodys() {
    let database = drydock_testing::database().await;
    let sql = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT (c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_rows'))
     ORDER BY 1";
    let open = database.client().await.unwrap().query(sql, &[]).await.unwrap();
    let open: Vec<String> = open.iter().map(|row| row.get(0)).collect();
    assert_eq!(open, NOBODYS);
}

/// Red when any of the policies is `true`, and when a connection is handed out as its last user left it.
#[tokio::test]
async fn the_api_sees_the_rows_of_the_tenant_it_names() {
    let (database, tables, [one, other]) = two_tenants().await;
    let api = open(&database.api_url());
    for _ in 0..2 {
        let client = api.client_of(one).await.unwrap();
        assert_eq!(seen(&client, &tables, &[one, other]).await, all(&tables, &[1, 0]));
        drop(client);
        let client = api.client_of(other).await.unwrap();
        assert_eq!(seen(&client, &tables, &[one, other]).await, all(&tables, &[0, 1]));
        drop(client);
        let client = api.client().await.unwrap();
        assert_eq!(seen(&client, &tables, &[one, other]).await, all(&tables, &[1, 1]));
    }
}

/// Red when the policies take no tenant for every tenant, or for none.
#[tokio::test]
async fn who_names_no_tenant_is_refused() {
    let (database, tables, _) = two_tenants().await;
    let api = open(&database.api_url());
    let client = api.client().await.unwrap();
    client.batch_execute("RESET drydock.tenant").await.unwrap();
    let fresh = drydock_testing::connect(&database.api_url()).await;
    for table in tables {
        let sql = format!("SELECT count(*) FROM {table}");
        client.query(&sql, &[]).await.expect_err(&sql);
        fresh.query(&sql, &[]).await.expect_err(&sql);
    }
}

/// Red when a policy has `WITH CHECK (true)`.
#[tokio::test]
async fn the_api_writes_no_row_of_another_tenant() {
    let (database, tables, [one, other]) = two_tenants().await;
    let api = open(&database.api_url());
    let client = api.client_of(one).await.unwrap();
    // Nobody writes the chain but the leader, and an edge's job may be in the same statement.
    for table in tables.iter().filter(|table| !["audit_chain", "job_dependency"].contains(&table.as_str())) {
        refused(&client, &rows::insert(&database.client().await.unwrap(), table, other).await).await;
    }
    let may_not = ["audit_chain", "audit_record", "held_tree", "tenant"];
    for table in tables.iter().filter(|table| !may_not.contains(&table.as_str())) {
        let sql = format!("DELETE FROM {table} WHERE {table}::text LIKE '%{other}%'");
        assert_eq!(client.execute(&sql, &[]).await.unwrap(), 0, "{table}");
    }
}

/// What fleet's roles see, whether they pass over row security or have policies of their own.
async fn sees_work_and_no_keys(client: &Client, tables: &[String], tenants: &[TenantId]) {
    let lets_in = ["api_key", "user_account", "user_identity", "workspace_token"];
    let open: Vec<String> = tables.iter().filter(|table| !lets_in.contains(&table.as_str())).cloned().collect();
    assert_eq!(open.len() + lets_in.len(), tables.len());
    assert_eq!(seen(client, &open, tenants).await, all(&open, &[1, 1]));
    for table in lets_in {
        refused(client, &format!("SELECT FROM {table}")).await;
    }
}

/// Red when the fleet's role is granted who is let in, and when a role without BYPASSRLS has no policy of its own.
#[tokio::test]
async fn the_fleet_sees_every_tenants_work_and_no_keys() {
    const PLAIN: &str = "drydock_test_plain_fleet";
    let (database, tables, tenants) = two_tenants().await;
    let fleet = open(&database.fleet_url());
    let client = fleet.client().await.unwrap();
    client.batch_execute("RESET drydock.tenant").await.unwrap();
    sees_work_and_no_keys(&client, &tables, &tenants).await;

    let owner = database.client().await.unwrap();
    let make = format!("DO $$ BEGIN CREATE ROLE {PLAIN}; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    owner.batch_execute(&make).await.unwrap();
    let roles = migrate::ServiceRoles { api: "drydock_test_api".to_owned(), fleet: PLAIN.to_owned() };
    let granted = migrate::grant(&database, &roles).await.unwrap();
    assert_eq!((granted.sees_sessions, granted.passes_rows), (false, false));
    owner.batch_execute(&format!("SET ROLE {PLAIN}; RESET drydock.tenant")).await.unwrap();
    sees_work_and_no_keys(&owner, &tables, &tenants).await;
}

/// Red when a table is made that nobody has said anything of.
#[tokio::test]
async fn what_services_may_do_is_said_of_every_table() {
    let database = drydock_testing::database().await;
    let sql = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT has_table_privilege('drydock_test_api', c.oid, 'SELECT, INSERT, UPDATE, DELETE') ORDER BY 1";
    let unsaid = database.client().await.unwrap().query(sql, &[]).await.unwrap();
    assert_eq!(unsaid.iter().map(|row| row.get(0)).collect::<Vec<String>>(), Vec::<String>::new());
}

/// A function with its owner's rights passes over row security.
#[tokio::test]
async fn no_function_has_its_owners_rights() {
    let database = drydock_testing::database().await;
    let sql = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef";
    let above = database.client().await.unwrap().query(sql, &[]).await.unwrap();
    assert_eq!(above.iter().map(|row| row.get(0)).collect::<Vec<String>>(), Vec::<String>::new());
}

/// Red when the roles are granted UPDATE and DELETE of every table: triggers alone would keep the records then.
#[tokio::test]
async fn no_service_changes_the_audit_log_or_the_schema() {
    let database = drydock_testing::database().await;
    for url in [database.api_url(), database.fleet_url()] {
        let pool = open(&url);
        let client = pool.client().await.unwrap();
        for table in ["audit_record", "audit_chain"] {
            refused(&client, &format!("UPDATE {table} SET tenant_id = tenant_id")).await;
            refused(&client, &format!("DELETE FROM {table}")).await;
            refused(&client, &format!("TRUNCATE {table}")).await;
            refused(&client, &format!("ALTER TABLE {table} DISABLE TRIGGER ALL")).await;
        }
        refused(&client, "DELETE FROM refinery_schema_history").await;
        refused(&client, "ALTER TABLE job DISABLE ROW LEVEL SECURITY").await;
        refused(&client, "DROP POLICY tenant_rows ON job").await;
        refused(&client, "SET session_replication_role = replica").await;
        client.batch_execute("SET row_security = off").await.unwrap();
    }
    let api = open(&database.api_url());
    let client = api.client_of(TenantId::generate()).await.unwrap();
    client.batch_execute("SET row_security = off").await.unwrap();
    refused(&client, "SELECT FROM job").await;
}

/// Red when `role::check` compares nothing.
#[tokio::test]
async fn a_service_starts_only_with_the_role_it_was_granted() {
    let database = drydock_testing::database().await;
    let config =
        DatabaseConfig { database_start_timeout: std::time::Duration::from_millis(50), ..DatabaseConfig::default() };
    let connect = async |url: &SecretString, service| Database::connect(&config, url, service).await;
    let (owner, api, fleet) = (&database.url, &database.api_url(), &database.fleet_url());
    connect(api, Service::Api).await.unwrap();
    connect(fleet, Service::Fleet).await.unwrap();
    for (url, service) in [(owner, Service::Api), (owner, Service::Fleet), (fleet, Service::Api)] {
        let error = connect(url, service).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Excessive { .. }), "{error:?}");
    }
    let insecure = DatabaseConfig { insecure_database_role: true, ..config.clone() };
    for service in [Service::Api, Service::Fleet] {
        Database::connect(&insecure, owner, service).await.unwrap();
    }
    for (table, service, url) in [
        ("usage_day", Service::Api, api),
        ("version", Service::Fleet, fleet),
        ("refinery_schema_history", Service::Api, api),
    ] {
        let nothing = format!("REVOKE ALL ON {table} FROM drydock_test_api, drydock_test_fleet");
        database.client().await.unwrap().batch_execute(&nothing).await.unwrap();
        let error = connect(url, service).await.unwrap_err();
        assert!(matches!(&error, DatabaseError::NotGranted { lacks, .. } if lacks.contains(table)), "{error:?}");
        let [api, fleet] = ["drydock_test_api", "drydock_test_fleet"].map(str::to_owned);
        migrate::grant(&database, &migrate::ServiceRoles { api, fleet }).await.unwrap();
    }
}

/// Red when a role that does not exist is let through.
#[tokio::test]
async fn rights_are_granted_twice_and_not_to_whom_they_do_not_fit() {
    let database = drydock_testing::database().await;
    let roles = |api: &str, fleet: &str| migrate::ServiceRoles { api: api.to_owned(), fleet: fleet.to_owned() };
    for _ in 0..2 {
        let granted = migrate::grant(&database, &roles("drydock_test_api", "drydock_test_fleet")).await.unwrap();
        assert_eq!((granted.sees_sessions, granted.passes_rows), (true, true));
    }
    let cases = [
        (roles("no_such_role", "drydock_test_fleet"), "no_such_role"),
        (roles("drydock_test_api", "no\"such"), "no\"such"),
        (roles("postgres", "drydock_test_fleet"), "postgres"),
        (roles("drydock_test_fleet", "drydock_test_fleet"), "drydock_test_fleet"),
        (roles("drydock_test_fleet", "drydock_test_api"), "drydock_test_fleet"),
        (roles("drydock_test_api", "drydock_test_api"), "drydock_test_api"),
    ];
    for (roles, named) in cases {
        let error = migrate::grant(&database, &roles).await.unwrap_err();
        assert!(matches!(&error, DatabaseError::Grant { role, .. } if role == named), "{error:?}");
    }
}
