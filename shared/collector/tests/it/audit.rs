//! T-108: what an audit finds, and what it does about it.

use std::time::Duration;

use drydock_collector::{Audit, AuditOptions};
use drydock_domain::{Digest, ObjectKind};

use crate::place::{Place, TENANT, at_once};

async fn audit(place: &Place, orphan_age: Duration, delete: bool) -> Audit {
    place.collector(at_once()).audit(AuditOptions { orphan_age, delete }).await.unwrap()
}

/// Red when either side of the comparison is not read, when ages are not compared, and when anything is deleted unasked.
#[tokio::test]
async fn t108_injected_orphans_and_missing_objects_are_found() {
    let place = Place::new().await;
    let (_, sound) = place.import(b"sound").await;
    let (_, torn) = place.import(b"torn").await;
    let upload = place.store(b"on its way").await;
    place.storage.delete(&place.keys(&torn)[0]).await.unwrap();
    let orphans = [Digest::of(b"1"), Digest::of(b"2")].map(|id| place.storage.keys(TENANT).pack(id));
    let orphaned_manifest = place.storage.keys(TENANT).manifest(Digest::of(b"3"));
    for key in orphans.iter().chain([&orphaned_manifest]) {
        place.storage.put(key, "lost".into()).await.unwrap();
    }
    let week = Duration::from_secs(7 * 86_400);
    let young = audit(&place, week, true).await;
    assert_eq!((young.orphans.tally.objects, young.young.objects), (0, 3), "{young:?}");
    let found = audit(&place, Duration::ZERO, false).await;
    assert_eq!((found.orphans.tally.objects, found.orphans.tally.bytes), (3, 12), "{found:?}");
    let mut expected: Vec<String> = orphans.iter().map(ToString::to_string).collect();
    expected.sort();
    expected.push(orphaned_manifest.to_string());
    assert_eq!(found.orphans.first, expected);
    assert_eq!(found.missing.first, [place.keys(&torn)[0].to_string()]);
    assert_eq!((found.missing.tally.objects, found.missing.tally.bytes), (1, torn.packs[0].bytes));
    assert_eq!((found.sound.objects, found.unrecorded.tally.objects), (5, 0));
    assert_eq!(place.listed().await.0, 8, "nothing was deleted");
    let done = audit(&place, Duration::ZERO, true).await;
    assert_eq!((done.deletion.deleted.objects, place.listed().await.0), (3, 5));
    assert_eq!((place.stored(&sound).await, place.stored(&upload).await), (2, 2));
    assert_eq!(audit(&place, Duration::ZERO, true).await.orphans.tally.objects, 0);
}

/// Red when an object without a row is called an orphan although a version needs it: an older program made both.
#[tokio::test]
async fn what_a_version_needs_is_no_orphan_even_without_a_row() {
    let place = Place::new().await;
    let (_, tree) = place.import(b"from before").await;
    place.client.execute("DELETE FROM pack WHERE kind = 'manifest'", &[]).await.unwrap();
    let done = audit(&place, Duration::ZERO, true).await;
    assert_eq!((done.unrecorded.tally.objects, done.orphans.tally.objects), (1, 0), "{done:?}");
    assert_eq!(place.stored(&tree).await, 2);
}

/// More than one page of either side. Red when the cursor of either does not go on.
#[tokio::test]
async fn an_audit_reads_all_pages() {
    let place = Place::new().await;
    let rows = "INSERT INTO pack (tenant_id, id, bytes, state)
      SELECT $1, decode(lpad(to_hex(n), 64, '0'), 'hex'), 1, 'live' FROM generate_series(1, 1100) n";
    place.client.execute(rows, &[&TENANT.uuid()]).await.unwrap();
    let puts = (0..1050_u32).map(|n| {
        let mut id = [0xff; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let key = place.storage.keys(TENANT).object(ObjectKind::Pack, Digest::from_bytes(id));
        let storage = place.storage.clone();
        async move { storage.put(&key, "x".into()).await }
    });
    let puts: Vec<_> = futures_util::StreamExt::collect(futures_util::StreamExt::buffer_unordered(
        futures_util::stream::iter(puts),
        8,
    ))
    .await;
    assert!(puts.iter().all(Result::is_ok));
    let found = audit(&place, Duration::ZERO, false).await;
    assert_eq!((found.orphans.tally.objects, found.missing.tally.objects), (1050, 1100));
    assert_eq!((found.orphans.first.len(), found.missing.first.len()), (10, 10));
}
