//! The real binary, driven with the real S3 client: what a service or a person relies on when they start it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod server;

use aws_sdk_s3::{error::ProvideErrorMetadata as _, primitives::ByteStream};
use server::Server;

#[tokio::test]
async fn objects_survive_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let first = Server::start(root.path());
    let body = vec![7_u8; 3 << 20];
    let client = first.client("right secret");
    client
        .put_object()
        .bucket("drydock")
        .key("packs/ab/one")
        .body(ByteStream::from(body.clone()))
        .send()
        .await
        .unwrap();
    assert_eq!(first.stop(), Some(0));

    let second = Server::start(root.path());
    let object = second.client("right secret").get_object().bucket("drydock").key("packs/ab/one").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().into_bytes(), body);
    assert_eq!(second.stop(), Some(0));
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    let answer = server.client("wrong secret").list_objects_v2().bucket("drydock").send().await;
    assert_eq!(answer.unwrap_err().code(), Some("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn if_none_match_refuses_an_object_that_is_there() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    let client = server.client("right secret");
    let put = || client.put_object().bucket("drydock").key("manifest").if_none_match("*").send();
    put().await.unwrap();
    assert_eq!(put().await.unwrap_err().code(), Some("PreconditionFailed"));
}

#[test]
fn the_bucket_is_there_and_nothing_outside_the_root_can_be_one() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    assert!(root.path().join("objects/drydock").is_dir());
    assert_eq!(server.stop(), Some(0));
    for name in ["../outside", ".hidden", "", "a/b"] {
        assert_eq!(Server::exit_code_with_bucket(root.path(), name), Some(64), "{name:?}");
    }
    assert!(!root.path().join("outside").exists());
}

#[test]
fn a_taken_address_is_said_so() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start(root.path());
    let (code, log) = Server::exit_at(root.path(), &server.address);
    assert_eq!(code, Some(69));
    assert!(log.contains(&server.address) && log.contains("--address"), "{log}");
}
