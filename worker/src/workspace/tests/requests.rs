//! What a workspace asks of object storage.

use std::sync::Arc;

use drydock_storage::{Credentials, Limits, ManifestCache, Storage, StorageMetrics};
use prometheus::Registry;

use super::{Materializer, Project, Rung, ladder::ladder_of};

fn storage_counted() -> (Storage, Registry) {
    let registry = Registry::new();
    let metrics = StorageMetrics::register(&registry).unwrap();
    let config = drydock_testing::storage_config();
    (Storage::connect(&config, &Credentials::from_env().unwrap(), metrics), registry)
}

/// Requests to object storage so far, those that failed among them.
fn requests(registry: &Registry) -> u64 {
    let families = registry.gather();
    let requests = families.iter().filter(|family| family.name() == "drydock_storage_request_seconds");
    requests.flat_map(|family| family.get_metric()).map(|metric| metric.get_histogram().get_sample_count()).sum()
}

/// The manifest is not in memory, as when other projects had their turn since.
#[tokio::test]
async fn a_job_that_changes_nothing_asks_object_storage_for_nothing() {
    for rung in [Rung::Erofs, Rung::Overlay] {
        let (storage, registry) = storage_counted();
        let mut project = Project::over(storage, tempfile::tempdir().unwrap(), rung);
        let one = tempfile::tempdir().unwrap();
        fs_err::write(one.path().join("f"), "content").unwrap();
        project.commit(one.path(), None).await;
        let forgetful = Arc::new(ManifestCache::new(0, Limits::default()));
        let cache = project.node.materializer.cache().clone();
        project.node.materializer = Materializer::new(cache, project.storage.clone(), forgetful, ladder_of(&[rung]));
        project.materialize().await.unwrap();

        let before = requests(&registry);
        // Several times: a request that nobody waits for would be seen by a later round.
        for _ in 0..20 {
            let two = project.materialize().await.unwrap();
            let pushed = project.push(two.path(), two.how()).await.unwrap();
            assert!(pushed.written.is_none());
            two.scratch.close().await.unwrap();
        }
        assert_eq!(requests(&registry), before, "{rung}");

        let three = project.materialize().await.unwrap();
        fs_err::write(three.path().join("g"), "new").unwrap();
        project.push(three.path(), three.how()).await.unwrap();
        assert_eq!(requests(&registry), before + 1, "{rung}: the manifest, when there is a change");
    }
}
