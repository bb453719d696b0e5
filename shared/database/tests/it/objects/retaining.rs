//! Which versions are dropped.

use std::time::Duration;

use drydock_database::{
    retention::{self, Retention},
    version::{self, Missing},
};
use drydock_domain::TenantId;

use super::store::{MOST, NOW, Store, tree_with};
use crate::support::tree;

/// Numbers of the versions that are kept.
async fn kept(store: &Store) -> Vec<i32> {
    let sql = "SELECT number FROM version WHERE project_id = $1 AND expired_at IS NULL ORDER BY number";
    let rows = store.collector.query(sql, &[&store.fleet.project.uuid()]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn five_versions(store: &Store) {
    for byte in 1..=5 {
        store.publish(&tree(byte)).await;
    }
    // A day between two, the newest just made.
    let aged = "UPDATE version SET created_at = now() - (5 - number) * interval '1 day'";
    store.collector.execute(aged, &[]).await.unwrap();
}

async fn keep(store: &Store, versions: Option<i32>, days: Option<f64>) {
    #[expect(clippy::cast_possible_truncation, reason = "a few days")]
    let seconds = days.map(|days| (days * 86_400.0) as i32);
    let keep = Retention { versions, seconds };
    assert!(retention::set_of_project(&store.collector, store.fleet.project, keep).await.unwrap());
}

/// Red when any of the rules is left out, when one drops what the other keeps, and when the head goes.
#[tokio::test]
async fn each_rule_keeps_what_it_says_and_the_head_stays() {
    for (versions, days, expected) in [
        (None, None, vec![1, 2, 3, 4, 5]),
        (Some(2), None, vec![4, 5]),
        (Some(9), None, vec![1, 2, 3, 4, 5]),
        (None, Some(2.5), vec![3, 4, 5]),
        (None, Some(0.0001), vec![5]),
        (Some(2), Some(2.5), vec![3, 4, 5]),
        (Some(4), Some(2.5), vec![2, 3, 4, 5]),
    ] {
        let database = drydock_testing::database().await;
        let store = Store::new(&database).await;
        five_versions(&store).await;
        keep(&store, versions, days).await;
        store.retain().await;
        assert_eq!(kept(&store).await, expected, "{versions:?} {days:?}");
        assert_eq!(store.retain().await, 0, "all at once");
    }
}

/// Red when the tenant's rule is not asked for, and when it is asked for although the project has its own.
#[tokio::test]
async fn a_project_without_a_rule_has_its_tenants() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    five_versions(&store).await;
    let of_tenant = Retention { versions: Some(3), seconds: None };
    keep(&store, Some(4), None).await;
    assert!(retention::set_of_tenant(&store.collector, "default", of_tenant).await.unwrap());
    assert!(!retention::set_of_tenant(&store.collector, "nobody", of_tenant).await.unwrap());
    store.retain().await;
    assert_eq!(kept(&store).await, [2, 3, 4, 5]);
    keep(&store, None, None).await;
    store.retain().await;
    assert_eq!(kept(&store).await, [3, 4, 5]);
}

/// Red without the grace: an attempt that was claimed just before would not be seen.
#[tokio::test]
async fn a_version_stays_for_a_while_after_its_successor() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    five_versions(&store).await;
    keep(&store, Some(1), None).await;
    let grace = Duration::from_secs(3600);
    assert_eq!(retention::retain(&store.collector, None, MOST, MOST, grace).await.unwrap().expired, 3);
    assert_eq!(kept(&store).await, [4, 5], "the head was made less than an hour ago");
}

/// Red when the page is not bounded, or the cursor does not go on.
#[tokio::test]
async fn the_look_goes_by_pages_and_batches() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    let others = [store.fleet.another_project(&database).await, store.fleet.another_project(&database).await];
    five_versions(&store).await;
    keep(&store, Some(1), None).await;
    let step = async |after, most| retention::retain(&store.collector, after, 2, most, NOW).await.unwrap();
    let first = step(None, 3).await;
    assert_eq!(first.expired, 3, "no more than asked for");
    let rest = step(None, 2).await;
    assert_eq!((rest.expired, rest.last), (1, Some(others[0].project)));
    assert_eq!(step(rest.last, MOST).await.last, None, "the end");
    assert_eq!(kept(&store).await, [5]);
}

/// Red when dropped versions can be read, and when they vanish.
#[tokio::test]
async fn a_dropped_version_stays_in_the_history_and_its_files_are_told_to_be_gone() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree_with(2, &[1])).await;
    assert_eq!(store.keep_newest().await, 1);
    let read = async |number| version::tree(&store.collector, TenantId::DEFAULT, store.fleet.project, number).await;
    assert_eq!(read(Some(1)).await.unwrap(), Err(Missing::Expired));
    assert!(read(Some(2)).await.unwrap().is_ok() && read(None).await.unwrap().is_ok());
    let list = version::list(&store.collector, TenantId::DEFAULT, store.fleet.project, i32::MAX, 10).await.unwrap();
    let expired: Vec<_> = list.items.iter().map(|version| (version.number, version.expired_at.is_some())).collect();
    assert_eq!(expired, [(2, false), (1, true)]);
    // The head has the pack that version 1 made: left to it, not even suspected.
    assert_eq!(store.condemn().await.total(), 0);
}

/// Red when the drop itself does not look at the head.
#[tokio::test]
async fn the_head_of_a_project_that_is_there_is_not_dropped_whoever_asks() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    let dropped = async || {
        let drop = "SELECT dd_expire_versions_v1($1, ARRAY[1])";
        store.collector.query_one(drop, &[&store.fleet.project.uuid()]).await.unwrap().get::<_, i32>(0)
    };
    assert_eq!(dropped().await, 0);
    store.collector.execute("UPDATE project SET deleted_at = now()", &[]).await.unwrap();
    assert_eq!(dropped().await, 1);
}

/// Red when an object is left to a version that was dropped before.
#[tokio::test]
async fn a_version_dropped_after_its_successor_leaves_it_nothing() {
    let database = drydock_testing::database().await;
    let store = Store::new(&database).await;
    store.publish(&tree(1)).await;
    store.publish(&tree_with(2, &[1])).await;
    store.publish(&tree(3)).await;
    let drop = "SELECT dd_expire_versions_v1($1, $2)";
    for number in [2, 1] {
        store.collector.query_one(drop, &[&store.fleet.project.uuid(), &vec![number]]).await.unwrap();
        assert_eq!(store.condemn().await.dropped.objects, 1, "what version {number} alone names");
    }
    assert_eq!((store.state(1).await.as_str(), store.state(2).await.as_str()), ("condemned", "condemned"));
}
