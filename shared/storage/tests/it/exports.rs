//! Exports: what comes out goes back in as the same tree, and other programs read it.

use std::{io::Cursor, process::Stdio, sync::Arc};

use drydock_domain::{LinkTarget, Mode, RelativePath};
use drydock_storage::{
    Format, Manifest, Once, Part, Storage, StorageError, StorageErrorKind, TreeWriter, Written, export, import_tar,
    write_tree,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::support::{Registry, TENANT, collect, noise, options, path, storage};

/// Targets that a path would not keep.
const TARGETS: [&str; 6] = ["./here/", "a//b", "..", "/etc/./passwd", "x/../y", "."];

fn build(writer: &mut TreeWriter) -> Result<(), StorageError> {
    let long = RelativePath::new(["d".repeat(200), "f".repeat(200)].join("/")).unwrap();
    writer.add_dir(long.parent().unwrap(), Mode::new(0o750))?;
    writer.add_file(long, Mode::new(0o400), &mut Once(&noise(1, 9 << 20)[..]))?;
    writer.add_dir(path("empty"), Mode::new(0o700))?;
    writer.add_dir(path("größe"), Mode::new(0o755))?;
    writer.add_file(path("größe/ü"), Mode::new(0o644), &mut Once(&b"x"[..]))?;
    writer.add_symlink(path("link"), LinkTarget::new("x".repeat(300)).unwrap())?;
    for length in [99, 100, 101] {
        writer.add_symlink(path(&format!("link-{length}")), LinkTarget::new("x".repeat(length)).unwrap())?;
    }
    for (at, target) in TARGETS.iter().enumerate() {
        writer.add_symlink(path(&format!("odd-{at}")), LinkTarget::new(target).unwrap())?;
    }
    for at in 0..50_u8 {
        let name = RelativePath::new([b's', b'0' + at / 10, b'0' + at % 10, 0xff]).unwrap();
        writer.add_file(name, Mode::new(0o755), &mut Once(&noise(u64::from(at), 3000)[..]))?;
    }
    writer.add_file(path("zero"), Mode::new(0), &mut Once(&b""[..]))
}

async fn written(storage: &Storage) -> Written {
    write_tree(storage, options(None), &Registry::default(), build).await.unwrap().unwrap()
}

fn all() -> Part {
    Box::new(|_| true)
}

async fn exported(storage: &Storage, manifest: &Arc<Manifest>, format: Format, part: Part) -> Vec<u8> {
    collect(export(storage, TENANT, Some(Arc::clone(manifest)), format, part)).await.unwrap().to_vec()
}

#[tokio::test]
async fn an_export_is_the_inverse_of_an_import() {
    let storage = storage();
    let written = written(&storage).await;
    let mut lengths = Vec::new();
    for format in [Format::Tar, Format::TarGz, Format::TarZst] {
        let bytes = exported(&storage, &written.manifest, format, all()).await;
        lengths.push(bytes.len());
        let registry = Registry::default();
        let imported = import_tar(&storage, options(None), &registry, Cursor::new(bytes)).await.unwrap().unwrap();
        assert_eq!(imported.tree_id, written.tree_id, "{format:?}");
    }
    assert!(lengths[1] < lengths[0] && lengths[2] < lengths[0], "{lengths:?}");
}

#[tokio::test]
async fn the_same_version_gives_the_same_bytes() {
    let storage = storage();
    let written = written(&storage).await;
    for format in [Format::Tar, Format::TarGz, Format::TarZst, Format::Zip] {
        let once = exported(&storage, &written.manifest, format, all()).await;
        let again = exported(&storage, &written.manifest, format, all()).await;
        assert!(once == again, "{format:?}");
    }
}

#[tokio::test]
async fn a_part_is_what_was_wanted() {
    let storage = storage();
    let written = written(&storage).await;
    let part = || -> Part { Box::new(|path: &RelativePath| path.as_bytes().starts_with(b"odd-")) };
    let bytes = exported(&storage, &written.manifest, Format::Tar, part()).await;
    let registry = Registry::default();
    let imported = import_tar(&storage, options(None), &registry, Cursor::new(bytes)).await.unwrap().unwrap();
    assert_eq!(imported.manifest.tree().entries().len(), TARGETS.len());
    let empty = collect(export(&storage, TENANT, None, Format::Tar, all())).await.unwrap();
    assert_eq!(empty.to_vec(), [0; 1024], "the end of an archive and nothing before it");
}

/// What Python's `zipfile` finds, after it has read everything and checked its sums.
async fn read_zip(archive: &[u8]) -> Value {
    const SCRIPT: &str = "import io, json, sys, zipfile, hashlib\n\
        z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
        assert z.testzip() is None\n\
        print(json.dumps([[i.filename.rstrip('/').encode('utf-8' if i.flag_bits & 0x800 else 'cp437').hex(), oct(i.external_attr >> 16),\n\
        i.file_size, hashlib.sha256(z.read(i)).hexdigest(), list(i.date_time)] for i in z.infolist()]))";
    let mut python = Command::new("python3");
    let mut child = python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(archive).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_zip_holds_names_kinds_modes_and_contents() {
    let storage = storage();
    let written = written(&storage).await;
    let found = read_zip(&exported(&storage, &written.manifest, Format::Zip, all()).await).await;
    let entries = written.manifest.tree().entries();
    let expected: Vec<Value> = entries.iter().map(as_python_tells).collect();
    let shown = |entry: &Value| json!([entry[0], entry[1], entry[2]]);
    let found: Vec<Value> = found.as_array().unwrap().iter().map(shown).collect();
    assert_eq!(found, expected);
    let empty = collect(export(&storage, TENANT, None, Format::Zip, all())).await.unwrap();
    assert_eq!(read_zip(&empty).await, json!([]));
}

fn as_python_tells(entry: &drydock_domain::Entry) -> Value {
    use drydock_domain::EntryKind;
    let (mode, size) = match &entry.kind {
        EntryKind::File { size, mode, .. } => (0o100_000 | mode.bits(), *size),
        EntryKind::Dir { mode } => (0o040_000 | mode.bits(), 0),
        EntryKind::Symlink { target } => (0o120_777, target.as_bytes().len() as u64),
    };
    let name: String = entry.path.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!([name, format!("0o{mode:o}"), size])
}

/// More entries than 16 bits count: the end of the archive is ZIP64's.
#[tokio::test]
async fn a_zip_may_have_many_entries() {
    let storage = storage();
    let many = |writer: &mut TreeWriter| {
        (0..66_000).try_for_each(|at| writer.add_file(path(&format!("{at:05}")), Mode::new(0o644), &mut Once(&b""[..])))
    };
    let written = write_tree(&storage, options(None), &Registry::default(), many).await.unwrap().unwrap();
    let found = read_zip(&exported(&storage, &written.manifest, Format::Zip, all()).await).await;
    assert_eq!(found.as_array().unwrap().len(), 66_000);
}

#[tokio::test]
async fn an_export_that_fails_ends_in_an_error() {
    let storage = storage();
    let written = written(&storage).await;
    storage.delete(&storage.keys(TENANT).pack(written.packs[0].id)).await.unwrap();
    for format in [Format::Tar, Format::TarGz, Format::TarZst, Format::Zip] {
        let stream = export(&storage, TENANT, Some(Arc::clone(&written.manifest)), format, all());
        let error = collect(stream).await.unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::NotFound, "{format:?}");
    }
}
