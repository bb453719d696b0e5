//! A place of its own in the test bucket: a key prefix per call.

use std::time::Duration;

use drydock_storage::{Credentials, Storage, StorageConfig, StorageMetrics};
use uuid::Uuid;

/// Settings of the test server under a prefix nobody else uses.
pub fn storage_config() -> StorageConfig {
    StorageConfig {
        endpoint: Some(crate::setting("DRYDOCK_TEST_S3_ENDPOINT")),
        bucket: crate::setting("DRYDOCK_TEST_S3_BUCKET"),
        prefix: format!("test-{}/", Uuid::now_v7().simple()),
        region: "us-east-1".to_owned(),
        timeout: Duration::from_secs(10),
        start_timeout: Duration::from_secs(10),
    }
}

/// Storage on the test server, under `config`, with metrics of its own.
pub fn storage(config: &StorageConfig) -> Storage {
    let metrics = StorageMetrics::register(&prometheus::Registry::new()).expect("a fresh registry has no such metrics");
    let credentials =
        Credentials::from_env().expect("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set by `make test`");
    Storage::connect(config, &credentials, metrics)
}
