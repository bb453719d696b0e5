//! Recognising a schema: the migrations are applied one by one in a shadow schema inside a transaction that is always
//! rolled back, and after each step the catalogs of both are compared, line by line.

use std::collections::BTreeSet;

use refinery::Migration;
use tokio_postgres::{Client, Transaction};

use super::version;
use crate::DatabaseError;

const SHADOW: &str = "drydock_shadow";

/// One line per column, constraint, index, function, trigger, policy and enum of the schema `$1`, names unqualified.
const CATALOG: &str = r"
  SELECT format('column %s.%s %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
                coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
   WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'v', 'p')
  UNION ALL SELECT format('constraint %s on %s %s', k.conname, k.conrelid::regclass, pg_get_constraintdef(k.oid))
    FROM pg_constraint k WHERE k.connamespace = $1::text::regnamespace AND k.conrelid <> 0
  UNION ALL SELECT pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = $1::text::regnamespace
  UNION ALL SELECT format('function %s %s', p.oid::regprocedure, md5(replace(pg_get_functiondef(p.oid), $1::text || '.', '')))
    FROM (SELECT oid, proname FROM pg_proc WHERE pronamespace = $1::text::regnamespace AND prokind = 'f') p
   WHERE p.proname LIKE 'dd\_%'
  UNION ALL SELECT format('trigger %s on %s', t.tgname, t.tgrelid::regclass)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $1::text::regnamespace AND NOT t.tgisinternal
  UNION ALL SELECT format('policy %s on %s for %s %s using %s check %s', p.polname, p.polrelid::regclass, p.polcmd, p.polpermissive,
                          pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
   WHERE c.relnamespace = $1::text::regnamespace AND p.polroles = ARRAY[0::oid]
  UNION ALL SELECT format('row security on %s', c.oid::regclass)
    FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace AND c.relrowsecurity
  UNION ALL SELECT format('enum %s (%s)', t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder))
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = $1::text::regnamespace GROUP BY t.typname";

/// The migration after which our schema equals the one found.
///
/// # Errors
/// None does: the differences to the nearest are listed.
pub(super) async fn recognise(client: &mut Client, migrations: &[Migration]) -> Result<u32, DatabaseError> {
    let failed = || DatabaseError::query("compare the schema");
    let transaction = client.transaction().await.map_err(failed())?;
    let schema: String =
        transaction.query_one("SELECT current_schema()::text AS name", &[]).await.map_err(failed())?.get("name");
    let found = catalog(&transaction, &schema).await?;
    transaction
        .batch_execute(&format!("CREATE SCHEMA {SHADOW}; SET LOCAL search_path TO {SHADOW}"))
        .await
        .map_err(failed())?;
    let mut ordered: Vec<&Migration> = migrations.iter().collect();
    ordered.sort();
    let mut nearest = BTreeSet::new();
    for migration in ordered {
        transaction.batch_execute(migration.sql().unwrap_or_default()).await.map_err(failed())?;
        let ours = catalog(&transaction, SHADOW).await?;
        let differences: BTreeSet<String> = ours
            .difference(&found)
            .map(|line| format!("  missing: {line}"))
            .chain(found.difference(&ours).map(|line| format!("  unknown: {line}")))
            .collect();
        if differences.is_empty() {
            return Ok(version(migration));
        }
        if nearest.is_empty() || differences.len() < nearest.len() {
            nearest = differences;
        }
    }
    Err(DatabaseError::Different(nearest.into_iter().collect::<Vec<_>>().join("\n")))
}

async fn catalog(transaction: &Transaction<'_>, schema: &str) -> Result<BTreeSet<String>, DatabaseError> {
    let rows = transaction.query(CATALOG, &[&schema]).await.map_err(DatabaseError::query("read the catalog"))?;
    let qualifier = format!("{schema}.");
    Ok(rows.iter().map(|row| row.get::<_, String>("line").replace(&qualifier, "")).collect())
}
