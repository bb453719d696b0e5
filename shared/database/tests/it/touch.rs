//! `updated_at` is kept by the database itself.

use chrono::{DateTime, Utc};
use drydock_database::GenericClient;

use crate::support::Fleet;

async fn updated_at(client: &impl GenericClient, table: &str) -> DateTime<Utc> {
    client.query_one(&format!("SELECT updated_at FROM {table}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_raw_update_moves_it_on_both_tables() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    for (table, change) in [("project", "labels = '{\"a\": \"b\"}'"), ("job", "title = 'other'")] {
        let before = updated_at(&fleet.client, table).await;
        fleet.client.batch_execute(&format!("UPDATE {table} SET {change}")).await.unwrap();
        let after = updated_at(&fleet.client, table).await;
        assert!(after > before, "{table}: {before} → {after}");
        // Even twice within one transaction, and even when somebody tries to set it back.
        let twice = format!(
            "BEGIN; UPDATE {table} SET {change}; UPDATE {table} SET {change}, updated_at = '2000-01-01'; COMMIT"
        );
        fleet.client.batch_execute(&twice).await.unwrap();
        assert!(updated_at(&fleet.client, table).await > after, "{table}");
    }
}
