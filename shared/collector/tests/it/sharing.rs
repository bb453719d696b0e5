//! Objects that several name, and collectors that are several.

use std::time::Duration;

use drydock_collector::CollectorConfig;
use drydock_database::{
    DatabaseError, pack,
    project::{self, Deleted},
};
use drydock_domain::{ObjectKind, ProjectId};
use drydock_storage::{StorageConfig, StorageErrorKind};

use crate::place::{Place, TENANT, at_once};

/// A project deleted while another one names the same bytes. Red when names are not looked for.
#[tokio::test]
async fn bytes_that_two_projects_share_stay_until_both_are_gone() {
    let place = Place::new().await;
    let (first, tree) = place.import(b"shared").await;
    let second = place.name(&tree).await;
    place.delete(first).await;
    let pass = place.collect(at_once()).await;
    assert_eq!((pass.deletion.deleted.objects, place.stored(&tree).await), (0, 2));
    place.delete(second).await;
    place.collect(at_once()).await;
    assert_eq!(place.stored(&tree).await, 0);
}

/// What was condemned is there again with its next import, and needs no upload. Red when a condemned object is not revived.
#[tokio::test]
async fn the_same_bytes_imported_again_live_again() {
    let place = Place::new().await;
    let (first, _) = place.import(b"again").await;
    place.delete(first).await;
    let hour = Duration::from_secs(3600);
    place.collect(CollectorConfig { gc_condemned_for: hour, ..at_once() }).await;
    let (_, tree) = place.import(b"again").await;
    place.collect(at_once()).await;
    assert_eq!(place.stored(&tree).await, 2);
}

/// T-103 with real objects: a crash after the row was doomed, before and after the object was deleted; and the same bytes uploaded
/// again meanwhile. Red when an upload is let through while its bytes are being deleted, and when what was not reported is forgotten.
#[tokio::test]
async fn t103_a_deletion_that_nobody_reported_is_done_again() {
    let place = Place::new().await;
    let tree = place.store(b"half gone").await;
    let settle = at_once().gc_settle;
    place.collect(CollectorConfig { gc_condemned_for: settle, ..at_once() }).await;
    let doom = pack::doom(&place.client, Duration::ZERO, settle, 10).await.unwrap();
    assert_eq!(doom.doomed.len(), 2);
    // The process deleted one of the objects and ended there.
    place.storage.delete(&place.keys(&tree)[0]).await.unwrap();
    assert_eq!(place.collect(at_once()).await.deletion.deleted.objects, 0, "its requests may still be under way");
    let pack = tree.packs[0].id.parse().unwrap();
    let upload = pack::Object { tenant: TENANT, kind: ObjectKind::Pack, id: pack };
    let announced = pack::announce(&place.client, upload, 10, None).await;
    assert!(matches!(announced, Err(DatabaseError::Deleting { .. })), "{announced:?}");
    let pass = place.collect(CollectorConfig { gc_settle: Duration::from_nanos(1), ..at_once() }).await;
    assert_eq!((pass.deletion.deleted.objects, place.stored(&tree).await, place.rows().await), (2, 0, 0));
    let (_, again) = place.import(b"half gone").await;
    place.collect(at_once()).await;
    assert_eq!(place.stored(&again).await, 2);
}

/// Red when two of them delete, or count, one object twice, or one gives up because of the other.
#[tokio::test]
async fn collectors_at_the_same_time_are_harmless() {
    let place = Place::new().await;
    let contents: [&'static [u8]; 6] = [b"a", b"b", b"c", b"d", b"e", b"f"];
    let mut projects: Vec<ProjectId> = Vec::new();
    for content in contents {
        projects.push(place.import(content).await.0);
    }
    for project in &projects[1..] {
        place.delete(*project).await;
    }
    let config = CollectorConfig { gc_batch: 3, ..at_once() };
    let collectors: [_; 3] = std::array::from_fn(|_| place.collector(config.clone()));
    let work = async |collector: &drydock_collector::Collector| {
        let mut deleted = 0;
        for _ in 0..20 {
            deleted += collector.pass().await.unwrap().deletion.deleted.objects;
        }
        deleted
    };
    let (one, two, three) = futures_util::join!(work(&collectors[0]), work(&collectors[1]), work(&collectors[2]));
    assert_eq!(one + two + three, 10, "{one} {two} {three}");
    assert_eq!((place.listed().await.0, place.rows().await), (2, 2));
}

/// While object storage is away nothing is lost, and nothing is forgotten. Red when a row goes although its object may be there.
#[tokio::test]
async fn a_deletion_that_fails_is_counted_and_left_for_later() {
    let place = Place::new().await;
    let (project, tree) = place.import(b"stubborn").await;
    place.delete(project).await;
    let nowhere = StorageConfig {
        endpoint: Some(format!("http://127.0.0.1:{}", drydock_testing::free_port())),
        ..drydock_testing::storage_config()
    };
    let away = drydock_testing::storage(&nowhere);
    let blind = drydock_collector::Collector::new(place.database.database.clone(), away, at_once());
    let mut failures = 0;
    for _ in 0..3 {
        let pass = blind.pass().await.unwrap();
        failures += pass.deletion.failures.get(StorageErrorKind::Unavailable.as_str()).copied().unwrap_or_default();
    }
    assert!(failures > 0);
    assert_eq!((place.stored(&tree).await, place.rows().await), (2, 2));
    let again = project::delete(&place.client, TENANT, project, 10).await.unwrap();
    assert_eq!(again, Deleted::Done, "deleting it again changes nothing");
    place.collect(CollectorConfig { gc_settle: Duration::from_nanos(1), ..at_once() }).await;
    assert_eq!((place.stored(&tree).await, place.rows().await), (0, 0));
}
