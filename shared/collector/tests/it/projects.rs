//! Deleted projects free their bytes; nothing else does while it is needed.

use std::time::Duration;

use drydock_collector::CollectorConfig;
use drydock_domain::AttemptId;

use crate::place::{Place, TENANT, at_once};

/// Red when the deletion drops no versions, when condemned objects are never deleted, and when rows stay.
#[tokio::test]
async fn a_deleted_project_frees_its_bytes_and_another_ones_stay() {
    let place = Place::new().await;
    let (gone, tree) = place.import(b"this goes").await;
    let (_stays, kept) = place.import(b"this stays").await;
    place.collect(at_once()).await;
    assert_eq!((place.stored(&tree).await, place.stored(&kept).await), (2, 2), "both are needed");
    let (_, before) = place.listed().await;
    place.delete(gone).await;
    let pass = place.collect(at_once()).await;
    assert_eq!((pass.deletion.deleted.objects, pass.projects), (2, 1));
    assert_eq!((place.stored(&tree).await, place.stored(&kept).await), (0, 2));
    let (objects, after) = place.listed().await;
    assert_eq!((objects, before - after, place.rows().await), (2, pass.deletion.deleted.bytes, 2));
}

/// Red without the grace, and without the time that condemned objects are kept.
#[tokio::test]
async fn nothing_goes_before_its_time() {
    let place = Place::new().await;
    let (project, tree) = place.import(b"patience").await;
    place.delete(project).await;
    let hour = Duration::from_secs(3600);
    let collect = async |config: CollectorConfig| {
        let pass = place.collect(config).await;
        (pass.judged.dropped.objects, pass.deletion.deleted.objects, place.stored(&tree).await)
    };
    assert_eq!(collect(CollectorConfig { gc_grace: hour, ..at_once() }).await, (0, 0, 2));
    assert_eq!(collect(CollectorConfig { gc_condemned_for: hour, ..at_once() }).await, (2, 0, 2));
    assert_eq!(collect(at_once()).await, (0, 2, 0));
}

/// Red when logs are left, or the pieces of one that was never sealed.
#[tokio::test]
async fn its_logs_go_with_it() {
    let place = Place::new().await;
    let (project, _) = place.import(b"talks a lot").await;
    let keys = place.storage.keys(TENANT);
    let [sealed, cut] = [AttemptId::generate(), AttemptId::generate()];
    let objects = [keys.log(sealed), keys.log_segment(cut, 0), keys.log_segment(cut, 2)];
    for key in &objects {
        place.storage.put(key, "said".into()).await.unwrap();
    }
    let attempts = "WITH w AS (INSERT INTO worker (id, instance, pool, slots, agents, isolation, rung, build, lease_until)
        VALUES ($1, 'i', 'p', 1, '{}', 'none', 'copy', 'b', now()) RETURNING id),
      j AS (INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, agent, pool, state, finished_at)
        SELECT $1, tenant_id, id, 'edit', 't', 'i', 'a', 'p', 'failed', now() FROM project WHERE id = $2 RETURNING id)
      INSERT INTO attempt (id, job_id, number, worker_id, state, base_version, workspace_path, isolation, finished_at, log_bytes, log_object)
      SELECT a.id, j.id, a.n, w.id, 'failed', 1, 'x', 'none', now(), 4, a.object
        FROM w, j, (VALUES ($1::uuid, 1, $4::text), ($3::uuid, 2, NULL)) a (id, n, object)";
    let (sealed, project_id, cut) = (sealed.uuid(), project.uuid(), cut.uuid());
    place.client.execute(attempts, &[&sealed, &project_id, &cut, &objects[0].as_str()]).await.unwrap();
    let pieces = "INSERT INTO log_chunk (attempt_id, seq, byte_offset, length, object) VALUES ($1, 0, 0, 4, 'o'), ($1, 2, 4, 4, 'o')";
    place.client.execute(pieces, &[&cut]).await.unwrap();
    assert_eq!(place.collect(at_once()).await.logs, 0, "the project is there");
    place.delete(project).await;
    let pass = place.collect(at_once()).await;
    assert_eq!((pass.logs, pass.projects), (2, 1));
    for key in &objects {
        assert!(place.storage.length(key).await.is_err(), "{key}");
    }
    let left = "SELECT (SELECT count(*) FROM log_chunk), (SELECT count(*) FROM attempt WHERE log_bytes > 0 OR log_object IS NOT NULL)";
    let left = place.client.query_one(left, &[]).await.unwrap();
    assert_eq!((left.get::<_, i64>(0), left.get::<_, i64>(1)), (0, 0));
}

/// T-107 in the bucket: an upload that nobody named goes, one whose turn has not come stays. Red when uploads are left.
#[tokio::test]
async fn an_upload_that_nobody_named_goes() {
    let place = Place::new().await;
    let tree = place.store(b"nobody's").await;
    let hour = Duration::from_secs(3600);
    place.collect(CollectorConfig { gc_grace: hour, ..at_once() }).await;
    assert_eq!(place.stored(&tree).await, 2);
    let pass = place.collect(at_once()).await;
    assert_eq!((pass.judged.orphaned.objects, pass.deletion.deleted.objects), (2, 2));
    assert_eq!((place.stored(&tree).await, place.rows().await), (0, 0));
}
