//! Stored bytes.

use std::time::Duration;

use drydock_database::{job::Finish, pack, retention};
use drydock_domain::{AttemptId, Digest, ObjectKind, Outcome};

use super::*;
use crate::support::{Fleet, report, tree};

fn bytes(most: i64) -> Quotas {
    Quotas { max_storage_bytes: Some(most), ..Quotas::default() }
}

async fn stored(client: &Client) -> i64 {
    row(client).await.stored_bytes
}

/// By the test's own sum.
async fn truth(client: &Client) -> i64 {
    let sql = "SELECT (SELECT coalesce(sum(bytes), 0) FROM pack WHERE tenant_id = $1 AND state <> 'deleted')::bigint
                    + (SELECT coalesce(sum(a.log_bytes), 0) FROM attempt a JOIN job j ON j.id = a.job_id WHERE j.tenant_id = $1)::bigint";
    client.query_one(sql, &[&T.uuid()]).await.unwrap().get(0)
}

fn object(byte: u8) -> pack::Object {
    pack::Object { tenant: T, kind: ObjectKind::Pack, id: Digest::from([byte; 32]) }
}

/// A job that runs: its attempt.
async fn attempt(fleet: &Fleet) -> (drydock_domain::JobId, AttemptId) {
    fleet.plain().await;
    fleet.running().await
}

#[tokio::test]
async fn what_is_stored_is_summed_up_from_announcing_to_forgetting() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    assert_eq!(stored(client).await, 0);
    let (job, attempt) = attempt(&fleet).await;
    pack::announce(client, object(1), 100, Some(attempt)).await.unwrap();
    pack::announce(client, object(1), 100, Some(attempt)).await.unwrap();
    pack::announce(client, object(2), 30, None).await.unwrap();
    assert_eq!((stored(client).await, truth(client).await), (130, 130));
    pack::announce(client, object(2), 50, None).await.unwrap();
    assert_eq!((stored(client).await, truth(client).await), (150, 150), "its size was another one");
    let finish = Finish::new(job, attempt, Outcome::Succeeded, report());
    assert_eq!(job::finish(client, &finish).await.unwrap(), job::Finished::Ok);
    assert_eq!(job::finish(client, &finish).await.unwrap(), job::Finished::Already);
    assert_eq!((stored(client).await, truth(client).await), (153, 153), "a log of 3 bytes, once");
    tenant::count(client, T).await.unwrap();
    tenant::count(client, T).await.unwrap();
    assert_eq!(stored(client).await, 153, "folded in");

    // Nothing names the two: they go.
    pack::condemn(client, Duration::ZERO, 10).await.unwrap();
    assert_eq!(stored(client).await, 153);
    let doomed = pack::doom(client, Duration::ZERO, Duration::from_secs(60), 10).await.unwrap();
    assert_eq!((stored(client).await, truth(client).await), (3, 3), "bytes that are going are not stored");
    for doomed in &doomed.doomed {
        assert!(pack::forget(client, doomed).await.unwrap());
    }
    retention::forget_log(client, attempt).await.unwrap();
    assert_eq!((stored(client).await, truth(client).await), (0, 0));
    tenant::count(client, T).await.unwrap();
    assert_eq!(stored(client).await, 0);
    // Whatever else somebody does to the rows.
    pack::announce(client, object(7), 20, None).await.unwrap();
    for (sql, bytes) in [
        ("UPDATE pack SET state = 'deleted'", 0),
        ("UPDATE pack SET state = 'live', bytes = 30", 30),
        ("UPDATE pack SET bytes = 40", 40),
        ("DELETE FROM pack", 0),
    ] {
        client.execute(sql, &[]).await.unwrap();
        assert_eq!((stored(client).await, truth(client).await), (bytes, bytes), "{sql}");
    }
}

/// Ends of jobs add to it side by side, and a fold in between loses none of it.
#[tokio::test]
async fn of_many_at_once_all_is_summed_up() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let lanes = (0..4_u8).map(|lane| {
        let database = database.clone();
        async move {
            let client = database.client().await.unwrap();
            for number in 0..25 {
                let object = object(lane * 25 + number);
                pack::announce(&client, object, 1 + u64::from(number), None).await.unwrap();
            }
        }
    });
    let folds = async {
        let client = database.client().await.unwrap();
        for _ in 0..40 {
            tenant::count(&client, T).await.unwrap();
        }
    };
    tokio::join!(futures_util::future::join_all(lanes), folds);
    assert_eq!((stored(&fleet.client).await, truth(&fleet.client).await), (1300, 1300));
}

#[tokio::test]
async fn at_the_quota_uploads_by_hand_and_new_jobs_are_refused_and_running_jobs_keep_their_results() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    let (job, attempt) = attempt(&fleet).await;
    set(client, bytes(100)).await;
    pack::announce(client, object(1), 60, None).await.unwrap();
    let refused = pack::announce(client, object(2), 41, None).await.unwrap_err();
    assert_eq!(refused.quota(), Some("stored bytes: 60 of 100 are used, and 41 more were to come"));
    assert_eq!((stored(client).await, truth(client).await), (60, 60), "nothing is kept of it");
    pack::announce(client, object(3), 40, None).await.unwrap();
    pack::announce(client, object(1), 60, None).await.unwrap();
    let full = "stored bytes: 100 of 100 are used";
    assert_eq!(accept(client, &[edit(fleet.project)]).await, [over(full)]);

    let done = tree(9);
    for (kind, id) in [(ObjectKind::Pack, &done.packs[0].id), (ObjectKind::Manifest, &done.manifest_id)] {
        let object = pack::Object { tenant: T, kind, id: id.parse().unwrap() };
        pack::announce(client, object, 10, Some(attempt)).await.unwrap();
    }
    let finish = Finish { tree: Some(done), ..Finish::new(job, attempt, Outcome::Succeeded, report()) };
    assert_eq!(job::finish(client, &finish).await.unwrap(), job::Finished::Ok);
    assert_eq!((fleet.state(job).await.as_str(), fleet.head().await), ("succeeded", 1));
    assert!(stored(client).await > 100);
    set(client, bytes(1000)).await;
    assert_eq!(let_in(&accept(client, &[edit(fleet.project)]).await), [true]);
    set(client, bytes(0)).await;
    pack::announce(client, object(4), 5000, None).await.unwrap();
    assert_eq!(row(client).await.max_storage_bytes, None);
}
