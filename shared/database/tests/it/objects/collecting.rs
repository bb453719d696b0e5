//! What is collected and what is not, one collector alone; and crashes of it at each step.

use std::time::Duration;

use drydock_database::{
    job::{Finished, finish},
    pack::{self, Tally},
    project::{self, Deleted},
    report::StoredTree,
    retention,
};
use drydock_domain::{AttemptId, Outcome, TenantId};
use drydock_testing::violations;

use super::store::{MOST, NOW, Store, fork, object, tree_with};
use crate::support::tree;

const ONE: Tally = Tally { objects: 1, bytes: 10 };

/// T-107. Red without the look at the attempt, and without the grace.
#[tokio::test]
async fn t107_an_upload_nobody_finished_is_condemned_and_one_under_way_is_not() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.fleet.plain().await;
    let (job, attempt) = store.fleet.running().await;
    pack::announce(&store.fleet.client, object(1), 10, Some(attempt)).await.unwrap();
    pack::announce(&store.fleet.client, object(2), 10, None).await.unwrap();
    let hour = Duration::from_secs(3600);
    assert_eq!(pack::condemn(&store.collector, hour, MOST).await.unwrap().total(), 0, "it may be under way");
    assert_eq!(store.condemn().await.orphaned, ONE, "an import that did not come to its end");
    assert_eq!((store.state(1).await.as_str(), store.state(2).await.as_str()), ("uploading", "condemned"));
    assert_eq!(store.fleet.finish(job, attempt, Outcome::Failed, None).await, Finished::Ok);
    assert_eq!(store.condemn().await.orphaned, ONE, "its attempt is over");
    assert_eq!(store.state(1).await, "condemned");
}

/// Red when a version that is kept, or a tree of a failed attempt, is not asked for names.
#[tokio::test]
async fn what_anything_names_is_kept() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree_with(2, &[1])).await;
    store.fleet.plain().await;
    let (job, attempt) = store.fleet.running().await;
    assert_eq!(store.fleet.finish(job, attempt, Outcome::Failed, Some(&tree(3))).await, Finished::Ok);
    suspect_all(&store).await;
    let judged = store.condemn().await;
    assert_eq!((judged.named.objects, judged.total()), (3, 3), "{judged:?}");
    assert_eq!(store.condemn().await.total(), 0, "they are suspected no more");
}

/// Red when the trees of attempts do not expire, or at once.
#[tokio::test]
async fn a_failed_attempts_tree_is_kept_for_a_while() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.fleet.plain().await;
    let (job, attempt) = store.fleet.running().await;
    let left = StoredTree { packs: tree(4).packs, ..tree(3) };
    assert_eq!(store.fleet.finish(job, attempt, Outcome::Failed, Some(&left)).await, Finished::Ok);
    let day = Duration::from_secs(86_400);
    assert_eq!(retention::expire_trees(&store.collector, day, MOST).await.unwrap(), 0);
    suspect_all(&store).await;
    assert_eq!(store.condemn().await.named.objects, 2);
    assert_eq!(retention::expire_trees(&store.collector, NOW, MOST).await.unwrap(), 1);
    assert_eq!(retention::expire_trees(&store.collector, NOW, MOST).await.unwrap(), 0, "once");
    assert_eq!(store.condemn().await.dropped.objects, 2, "its manifest and its pack");
}

/// Red when the fork's version is not asked for names, and when objects of a deleted project are not suspected.
#[tokio::test]
async fn a_deleted_project_frees_what_its_fork_does_not_share() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    let other = store.fleet.another_project(&database).await;
    assert!(fork(&store.fleet.client, store.fleet.project, other.project).await);
    store.publish(&tree_with(2, &[1])).await;
    let delete = async || project::delete(&store.fleet.client, TenantId::DEFAULT, store.fleet.project, MOST).await;
    assert_eq!((delete().await.unwrap(), delete().await.unwrap()), (Deleted::Done, Deleted::Done));
    store.free().await;
    let judged = store.condemn().await;
    assert_eq!((judged.dropped, judged.named), (ONE, ONE), "{judged:?}");
    assert_eq!((store.state(1).await.as_str(), store.state(2).await.as_str()), ("live", "condemned"));
    let freed = "SELECT freed_at IS NOT NULL FROM project WHERE id = $1";
    let freed = store.collector.query_one(freed, &[&store.fleet.project.uuid()]).await.unwrap();
    assert!(freed.get::<_, bool>(0));
    let unknown = project::delete(&store.fleet.client, TenantId::DEFAULT, drydock_domain::ProjectId::generate(), MOST);
    assert_eq!(unknown.await.unwrap(), Deleted::NoProject);
}

/// Red when the deletion leaves jobs, or cancels in one call what it was not asked to.
#[tokio::test]
async fn a_deleted_projects_jobs_are_cancelled_and_what_runs_keeps_its_base() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    for _ in 0..5 {
        store.fleet.plain().await;
    }
    let (job, attempt) = store.fleet.running().await;
    let delete = async |most| project::delete(&store.fleet.client, TenantId::DEFAULT, store.fleet.project, most).await;
    let open = async || {
        let sql = "SELECT count(*) FROM job WHERE finished_at IS NULL";
        store.collector.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    assert_eq!((delete(3).await.unwrap(), open().await), (Deleted::More, 3), "no more than asked for");
    assert_eq!((delete(3).await.unwrap(), open().await), (Deleted::Done, 1), "the one that runs");
    store.free().await;
    assert_eq!(store.condemn().await.total(), 0, "its base is still needed");
    assert_eq!(store.fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(2))).await, Finished::Ok);
    assert_eq!((store.fleet.state(job).await.as_str(), store.fleet.head().await), ("canceled", 1));
    store.free().await;
    assert_eq!(store.condemn().await.dropped.objects, 2, "its base, and what it left");
    assert!(violations(&store.collector).await.is_empty());
}

/// T-103: whatever was done last before a crash, the next pass goes on. Red when a deletion that was not reported is not taken
/// over, when it is taken over at once, and when the token of one who was too slow still counts.
#[tokio::test]
async fn t103_a_pass_that_ended_anywhere_is_gone_on_with() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    let (hour, id) = (Duration::from_secs(3600), object(1));
    pack::announce(&store.fleet.client, id, 10, None).await.unwrap();
    // Condemned, then a crash: the next one finds it.
    assert_eq!((store.condemn().await.total(), store.condemn().await.total()), (1, 0));
    assert!(pack::doom(&store.collector, hour, hour, MOST).await.unwrap().doomed.is_empty(), "not yet");
    let first = pack::doom(&store.collector, NOW, hour, MOST).await.unwrap().doomed.remove(0);
    // Doomed, then a crash before, or after, the object was deleted: nobody else deletes it until the first one's request is over.
    assert!(pack::doom(&store.collector, NOW, hour, MOST).await.unwrap().doomed.is_empty());
    let second = pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap().doomed.remove(0);
    assert!(!pack::forget(&store.collector, &first).await.unwrap(), "the second one may be deleting it");
    assert_eq!(store.state(1).await, "deleted");
    assert!(pack::forget(&store.collector, &second).await.unwrap());
    assert!(!pack::forget(&store.collector, &second).await.unwrap());
    assert_eq!(store.state(1).await, "-");
}

/// Red when the last look before the deletion does not ask for names: an old version is named again by hand.
#[tokio::test]
async fn what_is_named_after_all_is_not_deleted() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree(2)).await;
    store.keep_newest().await;
    assert_eq!(store.condemn().await.dropped, ONE);
    store.collector.execute("UPDATE version SET expired_at = NULL", &[]).await.unwrap();
    let doom = pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap();
    assert_eq!((doom.doomed.len(), doom.revived), (0, ONE));
    assert_eq!(store.state(1).await, "live");
    assert_eq!(store.condemn().await.named, ONE, "it is looked at once more");
}

/// T-104 and the pin: red without the look at what running attempts started from, at either place.
#[tokio::test]
async fn t104_what_a_running_attempt_started_from_is_needed_until_its_end() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.fleet.accept(|job| job.read_only = true).await;
    let (reader, reading) = store.fleet.running().await;
    store.publish(&tree(2)).await;
    assert_eq!(store.keep_newest().await, 0, "the reader started from it");
    // As if it had been claimed at the very moment.
    store.collector.execute("UPDATE version SET expired_at = now() WHERE number = 1", &[]).await.unwrap();
    suspect_all(&store).await;
    let judged = store.condemn().await;
    assert_eq!((judged.pinned, judged.named, judged.dropped.objects), (ONE, ONE, 0), "{judged:?}");
    assert_eq!(store.condemn().await.pinned, ONE, "it is looked at again");
    let condemned = "UPDATE pack SET state = 'condemned' WHERE id = $1";
    store.collector.execute(condemned, &[&vec![1_u8; 32]]).await.unwrap();
    let doom = pack::doom(&store.collector, NOW, NOW, MOST).await.unwrap();
    assert_eq!((doom.doomed.len(), doom.revived), (0, ONE));
    assert_eq!(store.fleet.finish(reader, reading, Outcome::Succeeded, None).await, Finished::Ok);
    assert_eq!(store.condemn().await.dropped, ONE, "nobody needs it any more");
}

/// Equal bytes of another tenant are other objects. Red when names are not asked for within the tenant.
#[tokio::test]
async fn another_tenants_version_keeps_nothing() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    let stranger = "WITH t AS (INSERT INTO tenant (id, name) VALUES ($1, 'stranger') RETURNING id)
      INSERT INTO pack (tenant_id, id, bytes, state, suspect_since) SELECT id, $2, 10, 'live', now() FROM t";
    let tenant = AttemptId::generate().uuid();
    store.collector.execute(stranger, &[&tenant, &vec![1_u8; 32]]).await.unwrap();
    assert_eq!(store.condemn().await.dropped, ONE);
    assert_eq!(store.state(1).await, "live");
}

/// Red when an adopted object is deleted although it has a row, or a version names it.
#[tokio::test]
async fn only_what_has_no_row_and_no_name_is_adopted() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    let adopt = async |byte| pack::adopt(&store.collector, object(byte), 10).await.unwrap();
    assert_eq!(adopt(1).await, None, "it has a row");
    store.collector.execute("DELETE FROM pack", &[]).await.unwrap();
    assert_eq!(adopt(1).await, None, "a version names it");
    let adopted = adopt(2).await.expect("nobody knows it");
    assert_eq!(adopt(2).await, None, "somebody deletes it already");
    assert!(pack::forget(&store.collector, &adopted).await.unwrap());
}

async fn suspect_all(store: &Store) {
    store.collector.execute("UPDATE pack SET suspect_since = now() WHERE state = 'live'", &[]).await.unwrap();
}

/// Every finish that is answered `ok` leaves its objects live, whatever the collector does between.
#[tokio::test]
async fn a_collector_that_never_rests_takes_nothing_from_those_who_write() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    let stopped = std::sync::atomic::AtomicBool::new(false);
    let collect = async {
        let mut passes = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            store.retain().await;
            store.condemn().await;
            for doomed in pack::doom(&store.collector, NOW, Duration::from_secs(3600), MOST).await.unwrap().doomed {
                pack::forget(&store.collector, &doomed).await.unwrap();
            }
            passes += 1;
        }
        passes
    };
    let write = async {
        store.keep_newest().await;
        let (mut published, mut gone) = (0, 0);
        for round in 0..60 {
            let pushed = store.pushed(&tree(round % 5)).await;
            match finish(&store.fleet.client, &pushed).await.unwrap() {
                Finished::Ok => published += 1,
                Finished::Gone => {
                    gone += 1;
                    store.fleet.end_back_off(pushed.job).await;
                    let (job, attempt) = store.fleet.running().await;
                    assert_eq!(store.fleet.finish(job, attempt, Outcome::Failed, None).await, Finished::Ok);
                }
                other => panic!("{other:?}"),
            }
            let lost = "SELECT count(*) FROM version v, unnest(v.pack_ids || v.manifest_id) o (id)
              WHERE v.expired_at IS NULL AND NOT EXISTS (SELECT FROM pack k WHERE k.id = o.id AND k.state IN ('live', 'condemned'))";
            let lost: i64 = store.fleet.client.query_one(lost, &[]).await.unwrap().get(0);
            assert_eq!(lost, 0, "round {round}: a version that is kept names what is gone");
        }
        stopped.store(true, std::sync::atomic::Ordering::Relaxed);
        (published, gone)
    };
    let (passes, (published, _gone)) = tokio::join!(collect, write);
    assert!(passes > 0 && published > 0, "{passes} passes, {published} published");
}
