//! Deleting a project frees its bytes, with real services: nothing of it is left in the bucket, logs included.

use drydock_domain::{AttemptId, ObjectKind, TenantId};
use drydock_testing::until;
use serde_json::json;

use crate::stack::{Options, PATIENCE, Stack};

/// Red when no leader collects, when the deletion drops no versions, and when logs are left.
#[tokio::test]
async fn a_deleted_project_leaves_nothing_in_the_bucket() {
    let fast = |name| (name, "50ms".to_owned());
    let settings = ["DRYDOCK_GC_PERIOD", "DRYDOCK_GC_GRACE", "DRYDOCK_GC_CONDEMNED_FOR"].map(fast).to_vec();
    let stack = Stack::with(Options { workers: Some(1), settings, ..Options::default() }).await;
    let storage = drydock_testing::storage(&stack.storage_config());
    let listed = async || {
        let mut keys = Vec::new();
        for kind in ObjectKind::ALL {
            let mut listing = storage.list(TenantId::DEFAULT, kind);
            while let Some(page) = listing.page().await.unwrap() {
                keys.extend(page.iter().map(|object| object.id));
            }
        }
        keys
    };
    let goes = stack.client.project(json!({"instruction": "make it and throw it away"})).await;
    let gone = listed().await;
    let stays = stack.client.project(json!({"instruction": "make it and keep it"})).await;
    assert_eq!((&goes["status"], &stays["status"]), (&json!("completed"), &json!("completed")));
    assert_eq!(gone.len(), 2, "a pack and a manifest");
    let client = stack.database.client().await.unwrap();
    let sealed = "SELECT a.id FROM attempt a JOIN job j ON j.id = a.job_id WHERE j.project_id = $1 AND a.log_bytes > 0";
    let project: drydock_domain::ProjectId = goes["id"].as_str().unwrap().parse().unwrap();
    let attempt: AttemptId = client.query_one(sealed, &[&project.uuid()]).await.unwrap().get::<_, uuid::Uuid>(0).into();

    let (status, _) = stack.client.send(reqwest::Method::DELETE, &format!("/projects/{project}"), None).await;
    assert_eq!(status, 204);
    until("nothing of it is left", PATIENCE, || async {
        let left = "SELECT count(*) FROM log_chunk WHERE attempt_id = $1";
        let rows: i64 = client.query_one(left, &[&attempt.uuid()]).await.unwrap().get(0);
        let keys = listed().await;
        let log = storage.length(&storage.keys(TenantId::DEFAULT).log(attempt)).await;
        (rows == 0 && log.is_err() && !gone.iter().any(|id| keys.contains(id))).then_some(())
    })
    .await;
    assert!(!listed().await.is_empty(), "the other one's are there");
    let kept = format!("/projects/{}/files", stays["id"].as_str().unwrap());
    assert!(!stack.client.get(&kept).await["files"].as_array().unwrap().is_empty());
    until("the leader tells of it", PATIENCE, || async {
        let deleted = stack.dispatchers_say("drydock_gc_objects_total{fate=\"deleted\"}").await;
        let live = stack.dispatchers_say("drydock_stored_objects{kind=\"pack\",state=\"live\"}").await;
        (deleted? >= 2.0 && live? == 1.0).then_some(())
    })
    .await;
}
