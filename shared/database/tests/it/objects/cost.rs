//! What a look at suspects touches: it must not grow with the history.

use super::store::Store;
use crate::backlog::cost;

/// Red when the tenant is joined instead of looked up: the planner then reads all versions in the hope of an early match, and nobody
/// names these objects.
#[tokio::test]
async fn a_look_for_names_goes_by_the_index() {
    const OBJECTS: i64 = 100;
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    let history = format!(
        "INSERT INTO project (id, tenant_id, instruction, agent, pool) SELECT gen_random_uuid(), tenant_id, 'x', 'a', 'p' FROM project, generate_series(1, 100);
         INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
         SELECT id, n, n - 1, sha256('t'), sha256((id::text || n)::bytea), ARRAY(SELECT sha256((id::text || n || k)::bytea) FROM generate_series(1, 8) k),
                1, 1, 'user', id FROM project, generate_series(1, 50) n;
         INSERT INTO pack (tenant_id, id, bytes, state, suspect_since)
         SELECT '{}', sha256(('o' || n)::bytea), 1, 'live', now() - interval '1 h' FROM generate_series(1, {OBJECTS}) n;",
        drydock_domain::TenantId::DEFAULT
    );
    store.collector.batch_execute(&history).await.unwrap();
    for table in ["version", "pack"] {
        store.collector.batch_execute(&format!("VACUUM ANALYZE {table}")).await.unwrap();
    }
    let touched = cost(&store.collector, "SELECT * FROM dd_condemn_v1('0', 1000)").await;
    assert!((touched.rows - OBJECTS as f64).abs() < 0.5, "{touched:?}");
    assert!(touched.pages < OBJECTS * 60, "{touched:?}");
}
