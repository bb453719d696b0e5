//! Exports: what comes out goes back in as the same tree.

use std::{io::Cursor, sync::Arc};

use drydock_domain::{LinkTarget, Mode, RelativePath};
use drydock_storage::{Once, StorageErrorKind, TreeWriter, export_tar, import_tar, write_tree};

use crate::support::{Registry, TENANT, collect, noise, options, path, storage};

fn build(writer: &mut TreeWriter) -> Result<(), drydock_storage::StorageError> {
    let long = RelativePath::new(["d".repeat(200), "f".repeat(200)].join("/")).unwrap();
    writer.add_dir(long.parent().unwrap(), Mode::new(0o750))?;
    writer.add_file(long, Mode::new(0o400), &mut Once(&noise(1, 9 << 20)[..]))?;
    writer.add_dir(path("empty"), Mode::new(0o700))?;
    writer.add_symlink(path("link"), LinkTarget::new("x".repeat(300)).unwrap())?;
    for at in 0..50_u8 {
        let name = RelativePath::new([b's', b'0' + at / 10, b'0' + at % 10, 0xff]).unwrap();
        writer.add_file(name, Mode::new(0o755), &mut Once(&noise(u64::from(at), 3000)[..]))?;
    }
    writer.add_file(path("zero"), Mode::new(0), &mut Once(&b""[..]))
}

#[tokio::test]
async fn an_export_is_the_inverse_of_an_import() {
    let storage = storage();
    let registry = Registry::default();
    let written = write_tree(&storage, options(None), &registry, build).await.unwrap().unwrap();
    let bytes = collect(export_tar(&storage, TENANT, Arc::clone(&written.manifest))).await.unwrap();
    let again = collect(export_tar(&storage, TENANT, Arc::clone(&written.manifest))).await.unwrap();
    assert!(bytes == again, "the same version gives the same bytes");
    let imported = import_tar(&storage, options(None), &registry, Cursor::new(bytes)).await.unwrap().unwrap();
    assert_eq!(imported.tree_id, written.tree_id);
}

#[tokio::test]
async fn an_export_that_fails_ends_in_an_error() {
    let storage = storage();
    let written = write_tree(&storage, options(None), &Registry::default(), build).await.unwrap().unwrap();
    storage.delete(&storage.keys(TENANT).pack(written.packs[0].id)).await.unwrap();
    let error = collect(export_tar(&storage, TENANT, written.manifest)).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NotFound);
}
