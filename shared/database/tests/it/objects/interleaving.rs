//! T-101: a collector and a committing writer, at each interleaving. Both are driven in transactions of their own; that one waits
//! for the other is seen in PostgreSQL, not slept for.

use std::time::Duration;

use drydock_database::{
    Client, Database,
    job::{Finish, Finished, finish},
    pack,
};
use drydock_testing::until;

use super::store::{MOST, NOW, Store, fork};
use crate::support::tree;

const PATIENCE: Duration = Duration::from_secs(20);
/// Held by the test while a collector that reads names is to stop in the middle.
const GATE: i64 = 4711;

/// Awaits that exactly one session of this database waits for a lock.
async fn waits(client: &Client) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the other session waits", PATIENCE, || async {
        (client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
}

/// Every name that is read for from now on waits for the gate, and is read with the statement's snapshot all the same.
async fn gate_names(client: &Client) {
    let gated = "ALTER FUNCTION dd_named_by_v1 RENAME TO named_by_ungated;
      CREATE FUNCTION dd_named_by_v1(t uuid, i bytea) RETURNS text LANGUAGE plpgsql STABLE AS $$
      BEGIN PERFORM pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711); RETURN named_by_ungated(t, i); END $$;";
    client.batch_execute(gated).await.unwrap();
}

async fn is_sound(store: &Store, expected: &str) {
    assert_eq!(store.state(1).await, expected);
    let lost = "SELECT count(*) FROM version v, unnest(v.pack_ids || v.manifest_id) o (id)
      WHERE v.expired_at IS NULL AND NOT EXISTS (SELECT FROM pack k WHERE k.id = o.id AND k.state = 'live')";
    let lost: i64 = store.fleet.client.query_one(lost, &[]).await.unwrap().get(0);
    assert_eq!(lost, 0, "a version that is kept names what is not live");
}

/// A store with an object that nobody names yet, and a writer about to.
async fn about_to_publish(database: &Database) -> (Store, Finish) {
    let store = Store::new(database).await;
    let pushed = store.pushed(&tree(1)).await;
    (store, pushed)
}

/// The writer has done everything but commit: the collector passes by. Red without SKIP LOCKED (it waits), and when the writer does
/// not lock (it is condemned).
#[tokio::test]
async fn a_writer_that_has_not_committed_is_passed_by() {
    let database = drydock_testing::database().await;
    let (store, pushed) = about_to_publish(&database).await;
    let mut session = database.client().await.unwrap();
    let writer = session.transaction().await.unwrap();
    assert_eq!(finish(&writer, &pushed).await.unwrap(), Finished::Ok);
    let passing = tokio::time::timeout(Duration::from_secs(5), store.condemn());
    assert_eq!(passing.await.expect("it waits for nobody").total(), 0);
    writer.commit().await.unwrap();
    assert_eq!(store.condemn().await.total(), 0);
    is_sound(&store, "live").await;
}

/// And one that only holds an object that is live already, as a fork does: red when the hold takes no lock.
#[tokio::test]
async fn a_holder_of_a_live_object_is_passed_by() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree(2)).await;
    let other = store.fleet.another_project(&database).await;
    let mut session = database.client().await.unwrap();
    let writer = session.transaction().await.unwrap();
    let held = "SELECT dd_hold_objects_v1($1, $2)";
    let (tenant, ids) = (drydock_domain::TenantId::DEFAULT.uuid(), vec![vec![1_u8; 32]]);
    assert!(writer.query_one(held, &[&tenant, &ids]).await.unwrap().get::<_, bool>(0));
    // Two at once hold it: neither waits for the other.
    assert!(store.fleet.client.query_one(held, &[&tenant, &ids]).await.unwrap().get::<_, bool>(0));
    // Its version goes meanwhile.
    store.collector.execute("UPDATE version SET expired_at = now() WHERE number = 1", &[]).await.unwrap();
    store.collector.execute("UPDATE pack SET suspect_since = now() WHERE id = $1", &[&ids[0]]).await.unwrap();
    assert_eq!(store.condemn().await.total(), 0, "it is about to be named");
    let named = "INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
      VALUES ($1, 1, 0, $2::bytea, $2, ARRAY[$2], 0, 0, 'fork', $1)";
    writer.execute(named, &[&other.project.uuid(), &ids[0]]).await.unwrap();
    writer.commit().await.unwrap();
    assert_eq!(store.condemn().await.named.objects, 1);
    is_sound(&store, "live").await;
}

/// The collector has condemned it and not committed: the writer waits, then revives, or finds it as it was.
#[tokio::test]
async fn a_writer_waits_for_a_collector_and_revives_what_it_condemned() {
    for commits in [true, false] {
        let database = drydock_testing::database().await;
        let (store, pushed) = about_to_publish(&database).await;
        let mut session = database.client().await.unwrap();
        let collector = session.transaction().await.unwrap();
        assert_eq!(pack::condemn(&collector, NOW, MOST).await.unwrap().orphaned.objects, 1);
        let meanwhile = async {
            waits(&store.collector).await;
            if commits { collector.commit().await.unwrap() } else { collector.rollback().await.unwrap() }
        };
        let (finished, ()) = tokio::join!(finish(&store.fleet.client, &pushed), meanwhile);
        assert_eq!(finished.unwrap(), Finished::Ok);
        is_sound(&store, "live").await;
    }
}

/// The collector has taken it to delete and not committed: the writer waits, and is told that it is gone. Red when the hold decides by
/// what it saw before it waited.
#[tokio::test]
async fn a_writer_waits_for_a_deletion_and_is_told() {
    let database = drydock_testing::database().await;
    let (store, pushed) = about_to_publish(&database).await;
    store.condemn().await;
    let mut session = database.client().await.unwrap();
    let collector = session.transaction().await.unwrap();
    assert_eq!(pack::doom(&collector, NOW, NOW, MOST).await.unwrap().doomed.len(), 1);
    let meanwhile = async {
        waits(&store.collector).await;
        collector.commit().await.unwrap();
    };
    let (finished, ()) = tokio::join!(finish(&store.fleet.client, &pushed), meanwhile);
    assert_eq!(finished.unwrap(), Finished::Gone);
    is_sound(&store, "deleted").await;
}

/// The collector holds the row and is about to look for names: whoever would add one waits until it is through. Red when the collector
/// locks with FOR NO KEY UPDATE, and when names are looked for in the statement that locks: its snapshot is too old.
#[tokio::test]
async fn names_are_looked_for_after_the_lock() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree(2)).await;
    assert_eq!(store.keep_newest().await, 1);
    let other = store.fleet.another_project(&database).await;
    let (gate, watch) = (database.client().await.unwrap(), database.client().await.unwrap());
    gate_names(&gate).await;
    gate.query_one("SELECT pg_advisory_lock($1)", &[&GATE]).await.unwrap();
    let mut session = database.client().await.unwrap();
    let collecting = async { store.condemn().await };
    let writing = async {
        waits(&watch).await;
        // The collector stands at the gate. A fork of version 1 by one who read its row before it was dropped.
        let writer = session.transaction().await.unwrap();
        let hold = "SELECT dd_hold_objects_v1($1, $2)";
        let (tenant, ids) = (drydock_domain::TenantId::DEFAULT.uuid(), vec![vec![1_u8; 32]]);
        let named = "INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
          VALUES ($1, 1, 0, $2::bytea, $2, ARRAY[$2], 0, 0, 'fork', $1)";
        let write = async {
            let held = writer.query_one(hold, &[&tenant, &ids]).await.unwrap().get::<_, bool>(0);
            writer.execute(named, &[&other.project.uuid(), &ids[0]]).await.unwrap();
            writer.commit().await.unwrap();
            held
        };
        let open = async {
            // Either the writer waits for the collector, or it has committed before the collector looks.
            until("the writer waits or is through", PATIENCE, || async {
                let waiting = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') = 2
                  OR EXISTS (SELECT FROM version WHERE author_kind = 'fork')";
                watch.query_one(waiting, &[]).await.unwrap().get::<_, bool>(0).then_some(())
            })
            .await;
            gate.query_one("SELECT pg_advisory_unlock($1)", &[&GATE]).await.unwrap();
        };
        tokio::join!(write, open).0
    };
    let (judged, held) = tokio::join!(collecting, writing);
    assert!(held, "{judged:?}");
    is_sound(&store, "live").await;
}

/// Two collectors at once: each object is taken by one. Red without the locks of either step.
#[tokio::test]
async fn two_collectors_take_no_object_twice() {
    let database = drydock_testing::database().await;
    let (store, _pushed) = about_to_publish(&database).await;
    let mut session = database.client().await.unwrap();
    let first = session.transaction().await.unwrap();
    assert_eq!(pack::condemn(&first, NOW, MOST).await.unwrap().total(), 1);
    assert_eq!(store.condemn().await.total(), 0);
    first.commit().await.unwrap();
    let first = session.transaction().await.unwrap();
    assert_eq!(pack::doom(&first, NOW, NOW, MOST).await.unwrap().doomed.len(), 1);
    assert_eq!(pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap().doomed.len(), 0);
    first.commit().await.unwrap();
    let hour = Duration::from_secs(3600);
    assert_eq!(pack::doom(&store.collector, NOW, hour, MOST).await.unwrap().doomed.len(), 0);
}

/// A fork of a version whose objects are gone is refused. Red when the hold does not look.
#[tokio::test]
async fn nothing_is_named_that_is_gone() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree(2)).await;
    store.keep_newest().await;
    store.condemn().await;
    let other = store.fleet.another_project(&database).await;
    assert!(fork(&store.fleet.client, store.fleet.project, other.project).await, "it was only condemned");
    store.fleet.client.execute("DELETE FROM version WHERE author_kind = 'fork'", &[]).await.unwrap();
    store.collector.execute("UPDATE pack SET suspect_since = now() WHERE state = 'live'", &[]).await.unwrap();
    store.condemn().await;
    assert_eq!(pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap().doomed.len(), 1);
    assert!(!fork(&store.fleet.client, store.fleet.project, other.project).await);
}
