//! Objects: reading, writing once, and what is said when it does not work.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use drydock_domain::Digest;
use drydock_storage::{Storage, StorageConfig, StorageError, StorageErrorKind};

use crate::support::{TENANT, storage};

#[tokio::test]
async fn what_is_stored_is_read_back_whole_and_in_parts() {
    let storage = storage();
    storage.check().await.unwrap();
    let key = storage.keys(TENANT).pack(Digest::of(b"x"));
    storage.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(storage.get(&key, 10).await.unwrap(), "0123456789");
    assert_eq!(storage.get_range(&key, 0..1).await.unwrap(), "0");
    assert_eq!(storage.get_range(&key, 9..10).await.unwrap(), "9");
    assert_eq!(storage.get_range(&key, 0..10).await.unwrap(), "0123456789");
    assert_eq!(storage.get_range(&key, 4..4).await.unwrap(), "");
    assert_eq!(storage.get_tail(&key, 3).await.unwrap(), "789");
    assert_eq!(storage.get_tail(&key, 99).await.unwrap(), "0123456789");
    assert_eq!(storage.get(&key, 9).await.unwrap_err().kind(), StorageErrorKind::TooLarge);
    assert_eq!(storage.get_range(&key, 5..11).await.unwrap_err().kind(), StorageErrorKind::Corrupt);
    assert_eq!(storage.get_range(&key, 50..60).await.unwrap_err().kind(), StorageErrorKind::Corrupt);
}

#[tokio::test]
async fn an_object_is_written_once() {
    let storage = storage();
    let key = storage.keys(TENANT).manifest(Digest::of(b"y"));
    storage.put(&key, Bytes::from_static(b"first")).await.unwrap();
    storage.put(&key, Bytes::from_static(b"again")).await.unwrap();
    assert_eq!(storage.get(&key, 10).await.unwrap(), "first");
}

/// A server that has the object may say so and close before it has read what is sent: the sender then sees a connection that
/// broke. Red within some tens of puts when such a break is not looked into.
#[tokio::test]
async fn a_big_object_is_written_once_however_early_the_server_answers() {
    let storage = storage();
    let key = storage.keys(TENANT).pack(Digest::of(b"big"));
    let big = Bytes::from(vec![7; 16 << 20]);
    for _ in 0..60 {
        storage.put(&key, big.clone()).await.unwrap();
    }
    assert_eq!(storage.length(&key).await.unwrap(), big.len() as u64);
}

#[tokio::test]
async fn deleting_twice_is_no_error() {
    let storage = storage();
    let key = storage.keys(TENANT).pack(Digest::of(b"z"));
    storage.put(&key, Bytes::from_static(b"gone")).await.unwrap();
    storage.delete(&key).await.unwrap();
    storage.delete(&key).await.unwrap();
    let error = storage.get(&key, 10).await.unwrap_err();
    assert!(matches!(&error, StorageError::NotFound { key: named } if named == key.as_str()), "{error}");
}

/// What an operator reads when a setting is wrong: the setting's name.
#[tokio::test]
async fn errors_name_the_setting() {
    let good = drydock_testing::storage_config();
    let check = async |config: &StorageConfig| drydock_testing::storage(config).check().await.unwrap_err();
    let error = check(&StorageConfig { bucket: "no-such-bucket".to_owned(), ..good.clone() }).await;
    assert!(matches!(error, StorageError::NoBucket { .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-bucket") && error.to_string().contains("DRYDOCK_S3_BUCKET"));

    // A port that was free a moment ago: nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = check(&StorageConfig { endpoint: Some(format!("http://127.0.0.1:{port}")), ..good.clone() }).await;
    assert_eq!(error.kind(), StorageErrorKind::Unavailable);
    assert!(error.to_string().contains("DRYDOCK_S3_ENDPOINT"), "{error}");
    assert!(error.source().is_some(), "the cause is kept");

    let credentials =
        drydock_storage::Credentials { access_key: "nobody".to_owned().into(), secret_key: "wrong".to_owned().into() };
    let metrics = drydock_storage::StorageMetrics::register(&prometheus::Registry::new()).unwrap();
    let error = Storage::connect(&good, &credentials, metrics).check().await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Unauthorized, "{error:?}");
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    assert!(!format!("{credentials:?}").contains("wrong"));
}

/// A server that accepts and never answers.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("http://{}", silent.local_addr().unwrap()));
    let config = StorageConfig { endpoint, timeout: Duration::from_millis(50), ..drydock_testing::storage_config() };
    let error = drydock_testing::storage(&config).check().await.unwrap_err();
    assert!(matches!(error, StorageError::Timeout { .. }), "{error:?}");
}
