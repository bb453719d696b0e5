//! One row of a tenant in each table under row security, made of the catalog, so that a new table needs nothing here.

use drydock_database::Client;
use drydock_domain::TenantId;

const TABLES: &str =
    "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity ORDER BY 1";
/// Columns that must be given, and a value that fits their type; ids and texts are the tenant's id.
const COLUMNS: &str = "SELECT a.attname::text AS name, CASE
    WHEN t.typname = 'uuid' THEN quote_literal($2)
    WHEN t.typtype = 'e' THEN quote_literal((SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder LIMIT 1))
    WHEN t.typcategory = 'A' THEN quote_literal('{}')
    WHEN t.typname IN ('json', 'jsonb') THEN quote_literal('{}')
    WHEN t.typname = 'bytea' THEN quote_literal('\\x' || repeat('00', 32))
    WHEN t.typcategory = 'D' THEN 'now()'
    WHEN t.typcategory = 'N' OR t.typtype = 'd' THEN '1'
    WHEN t.typcategory = 'B' THEN 'false'
    ELSE quote_literal($2) END AS value
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND a.attidentity = ''
   AND (NOT a.atthasdef OR (a.attname = 'id' AND a.attgenerated = ''))";

/// Where a CHECK asks for more than the type does.
const CHECKED: [(&str, &str, &str); 6] = [
    ("version", "parent", "0"),
    ("version", "author_kind", "'job'"),
    ("log_chunk", "data", "'x'"),
    ("pack", "kind", "'pack'"),
    ("api_key", "role", "'owner'"),
    ("user_account", "role", "'owner'"),
];

/// An INSERT of a row of `tenant`.
pub(super) async fn insert(owner: &Client, table: &str, tenant: TenantId) -> String {
    let columns = owner.query(COLUMNS, &[&table, &tenant.to_string()]).await.unwrap();
    let mut values: Vec<(String, String)> = columns.iter().map(|row| (row.get("name"), row.get("value"))).collect();
    for (_, column, value) in CHECKED.iter().filter(|(checked, ..)| *checked == table) {
        values.retain(|(name, _)| name != column);
        values.push(((*column).to_owned(), (*value).to_owned()));
    }
    let (names, values): (Vec<String>, Vec<String>) = values.into_iter().unzip();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// Makes them, without triggers and references, and tells in which tables.
pub(super) async fn fill(owner: &Client, tenant: TenantId) -> Vec<String> {
    let tables: Vec<String> = owner.query(TABLES, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    for table in &tables {
        let row = insert(owner, table, tenant).await;
        owner
            .batch_execute(&format!("BEGIN; SET LOCAL session_replication_role = replica; {row}; COMMIT"))
            .await
            .unwrap_or_else(|error| panic!("{row}: {error:?}"));
    }
    tables
}
