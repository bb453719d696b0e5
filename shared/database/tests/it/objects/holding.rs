//! What writers find: objects that are there, condemned, being deleted, gone.

use drydock_database::{
    DatabaseError,
    job::{Finished, finish},
    pack,
};
use drydock_domain::{AttemptId, Outcome};

use super::store::{MOST, NOW, Store, object};
use crate::support::tree;

/// T-102. Red when the hold does not look at condemned objects, and when it leaves them condemned.
#[tokio::test]
async fn t102_a_writer_that_names_a_condemned_object_revives_it() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    let pushed = store.pushed(&tree(1)).await;
    let lost = AttemptId::generate();
    let orphan = "UPDATE pack SET attempt_id = NULL WHERE attempt_id = $1";
    store.collector.execute(orphan, &[&lost.uuid()]).await.unwrap();
    assert_eq!(store.condemn().await.orphaned.objects, 1);
    assert_eq!(store.state(1).await, "condemned");
    assert_eq!(finish(&store.fleet.client, &pushed).await.unwrap(), Finished::Ok);
    assert_eq!(store.state(1).await, "live");
    let revivals = store.collector.query_one("SELECT revivals FROM pack", &[]).await.unwrap();
    assert_eq!(revivals.get::<_, i32>(0), 1, "it is counted");
}

/// Red when the hold takes a deleted or a missing row for a live one: then a version names what nobody has.
#[tokio::test]
async fn a_result_whose_objects_are_gone_is_not_published_and_the_job_runs_again() {
    for forgotten in [false, true] {
        let database = drydock_testing::database().await;
        let store = Store::new(&database).await;
        let pushed = store.pushed(&tree(1)).await;
        store.condemn().await;
        let doom = pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap();
        if forgotten {
            assert!(pack::forget(&store.collector, &doom.doomed[0]).await.unwrap());
        }
        assert_eq!(finish(&store.fleet.client, &pushed).await.unwrap(), Finished::Gone);
        assert_eq!((store.fleet.state(pushed.job).await.as_str(), store.fleet.head().await), ("queued", 0));
        let attempt = "SELECT state::text || ' ' || (manifest_id IS NULL) FROM attempt";
        assert_eq!(store.collector.query_one(attempt, &[]).await.unwrap().get::<_, String>(0), "infra true");
        assert_eq!(finish(&store.fleet.client, &pushed).await.unwrap(), Finished::Fenced, "asked again");
        store.fleet.end_back_off(pushed.job).await;
        let (job, attempt) = store.fleet.running().await;
        // A new upload of the same bytes, which has to wait while they are being deleted.
        let announced = pack::announce(&store.fleet.client, object(1), 10, Some(attempt)).await;
        if !forgotten {
            assert!(matches!(announced, Err(DatabaseError::Deleting { .. })), "{announced:?}");
            assert!(pack::forget(&store.collector, &doom.doomed[0]).await.unwrap());
        }
        assert_eq!(store.fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
        assert_eq!((store.state(1).await.as_str(), store.fleet.head().await), ("live", 1));
    }
}

/// Red when the finish asks for all objects of its tree instead of those the base has not.
#[tokio::test]
async fn what_the_base_has_is_neither_asked_for_nor_locked() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    let next = store.pushed(&super::store::tree_with(2, &[1])).await;
    let mut held = database.client().await.unwrap();
    let other = held.transaction().await.unwrap();
    let lock = "SELECT 1 FROM pack WHERE id = $1 FOR UPDATE";
    other.query_one(lock, &[&vec![1_u8; 32]]).await.unwrap();
    assert_eq!(finish(&store.fleet.client, &next).await.unwrap(), Finished::Ok);
}

/// Red when an announcement leaves a condemned object condemned, or takes a live one back to an upload.
#[tokio::test]
async fn announcing_brings_a_condemned_object_back_and_leaves_a_live_one() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    for expected in ["uploading", "condemned", "uploading"] {
        if expected == "condemned" {
            store.condemn().await;
        } else {
            pack::announce(&store.fleet.client, object(3), 10, None).await.unwrap();
        }
        assert_eq!(store.state(3).await, expected);
    }
    store.publish(&tree(1)).await;
    pack::announce(&store.fleet.client, object(1), 10, None).await.unwrap();
    assert_eq!(store.state(1).await, "live");
}
