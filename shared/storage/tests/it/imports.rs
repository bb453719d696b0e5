//! Imports: archives as programs make them, and as attackers do.

use std::io::{Cursor, Write as _};

use drydock_domain::{EntryKind, Mode};
use drydock_storage::{StorageError, StorageErrorKind, Written, import_tar};
use tar::{Builder, EntryType, Header};

use crate::support::{Registry, noise, options, path, read, storage};

fn header(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    // Not through `set_path`, which refuses what is tested here.
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

fn linked(kind: EntryType, name: &[u8], target: &[u8]) -> Header {
    let mut header = header(kind, name, 0);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    header
}

/// An archive of (header, content).
fn archive(entries: Vec<(Header, &[u8])>) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (header, content) in entries {
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file<'c>(name: &[u8], content: &'c [u8]) -> (Header, &'c [u8]) {
    (header(EntryType::Regular, name, content.len() as u64), content)
}

async fn import(bytes: Vec<u8>) -> Result<Option<Written>, StorageError> {
    import_tar(&storage(), options(None), &Registry::default(), Cursor::new(bytes)).await
}

fn names(written: &Written) -> Vec<String> {
    written.manifest.iter().map(|(entry, _)| entry.path.to_string()).collect()
}

/// An archive whose last entry must be refused, and a word of the reason.
type Hostile = (&'static str, Vec<(Header, &'static [u8])>, &'static str);

fn hostile_names() -> Vec<Hostile> {
    vec![
        ("absolute", vec![file(b"/etc/passwd", b"x")], "absolute"),
        ("dots", vec![file(b"../up", b"x")], "`..`"),
        ("dots inside", vec![file(b"a/../../up", b"x")], "`..`"),
        ("dots after ./", vec![file(b"./../up", b"x")], "`..`"),
        ("dot dir", vec![(header(EntryType::Directory, b"../d/", 0), b"")], "`..`"),
        ("two slashes", vec![file(b"a//b", b"x")], "not acceptable"),
    ]
}

fn hostile_kinds() -> Vec<Hostile> {
    let mut sparse = header(EntryType::GNUSparse, b"sparse", 0);
    sparse.as_gnu_mut().unwrap().set_real_size(0);
    sparse.set_cksum();
    vec![
        ("character device", vec![(header(EntryType::Char, b"tty", 0), b"")], "devices"),
        ("block device", vec![(header(EntryType::Block, b"sda", 0), b"")], "devices"),
        ("fifo", vec![(header(EntryType::Fifo, b"pipe", 0), b"")], "pipes"),
        ("sparse", vec![(sparse, b"")], "sparse"),
        ("unknown kind", vec![(header(EntryType::new(b'Z'), b"z", 0), b"")], "unknown kind"),
        ("hard link outside", vec![(linked(EntryType::Link, b"h", b"/etc/passwd"), b"")], "hard link"),
        ("hard link ahead", vec![(linked(EntryType::Link, b"h", b"a"), b"")], "hard link"),
        ("hard link to a dir", vec![file(b"d/f", b"1"), (linked(EntryType::Link, b"h", b"d"), b"")], "hard link"),
        ("symlink to nothing", vec![(linked(EntryType::Symlink, b"l", b""), b"")], "symlink"),
    ]
}

fn conflicts() -> Vec<Hostile> {
    let a = || file(b"a", b"1");
    let dir = |name| (header(EntryType::Directory, name, 0), &b""[..]);
    let link = || (linked(EntryType::Symlink, b"l", b"/etc"), &b""[..]);
    vec![
        ("file twice", vec![a(), a()], "twice"),
        ("dir twice", vec![dir(b"d/"), dir(b"d")], "twice"),
        ("dir over file", vec![a(), dir(b"a/")], "twice"),
        ("file over dir", vec![file(b"d/f", b"1"), file(b"d", b"1")], "twice"),
        ("below a file", vec![a(), file(b"a/b", b"1")], "no directory"),
        ("below a symlink", vec![link(), file(b"l/passwd", b"1")], "no directory"),
    ]
}

#[tokio::test]
async fn every_hostile_entry_is_refused_by_name() {
    for (what, entries, reason) in hostile_names().into_iter().chain(hostile_kinds()).chain(conflicts()) {
        let last = entries.last().unwrap().0.path_bytes().escape_ascii().to_string();
        match import(archive(entries)).await {
            Err(StorageError::ArchiveEntry { entry, reason: given }) => {
                assert!(given.contains(reason), "{what}: {given}");
                assert_eq!(entry, last, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_tree_of_an_ordinary_archive() {
    let mut directory = header(EntryType::Directory, b"./bin/", 0);
    directory.set_mode(0o700);
    directory.set_cksum();
    let mut program = header(EntryType::Regular, b"./bin/run", 4);
    program.set_mode(0o104_755);
    program.set_cksum();
    let bytes = archive(vec![
        (header(EntryType::Directory, b"./", 0), b""),
        (program, b"#!/x"),
        (directory, b""),
        file(b"implied/deep/\xff", b"not utf-8"),
        (linked(EntryType::Symlink, b"out", b"../../outside"), b""),
        (linked(EntryType::Link, b"bin/copy", b"./bin/run"), b""),
        file(b"./.codex/result.json", b"{}"),
        file(b"last", b"after what was left out"),
    ]);
    let written = import(bytes).await.unwrap().unwrap();
    assert_eq!(
        names(&written),
        ["bin", "bin/copy", "bin/run", "implied", "implied/deep", "implied/deep/\u{fffd}", "last", "out"]
    );
    let kind = |name: &str| written.manifest.find(&path(name)).unwrap().0.kind.clone();
    assert_eq!(kind("bin"), EntryKind::Dir { mode: Mode::new(0o700) });
    assert_eq!(kind("implied"), EntryKind::Dir { mode: Mode::new(0o755) });
    assert_eq!(kind("bin/copy"), kind("bin/run"));
    assert!(matches!(kind("bin/run"), EntryKind::File { size: 4, mode, .. } if mode.bits() == 0o755));
    assert!(matches!(kind("out"), EntryKind::Symlink { target } if target.as_bytes() == b"../../outside"));
}

#[tokio::test]
async fn long_names_of_both_kinds_are_read() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(250));
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header(EntryType::Regular, b"", 2), &long, &b"ok"[..]).unwrap();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes())]).unwrap();
    pax.append(&header(EntryType::Regular, b"short", 2), &b"ok"[..]).unwrap();
    // Git writes one of these first.
    let mut global = Builder::new(Vec::new());
    global.append(&header(EntryType::XGlobalHeader, b"pax_global_header", 20), &b"19 comment=abcdefgh\n"[..]).unwrap();
    global.append_data(&mut header(EntryType::Regular, b"", 2), &long, &b"ok"[..]).unwrap();
    for builder in [gnu, pax, global] {
        let written = import(builder.into_inner().unwrap()).await.unwrap().unwrap();
        assert_eq!(names(&written), ["d".repeat(200), long.clone()]);
    }
}

#[tokio::test]
async fn compression_is_told_by_the_first_bytes() {
    let plain = archive(vec![file(b"a", b"hello"), file(b"b", &noise(1, 100_000))]);
    let expected = import(plain.clone()).await.unwrap().unwrap().tree_id;
    let gzip = gzip(&plain);
    let zstd = zstd::stream::encode_all(&plain[..], 3).unwrap();
    for bytes in [&gzip, &zstd] {
        assert_eq!(import(bytes.clone()).await.unwrap().unwrap().tree_id, expected);
        for cut in [bytes.len() / 2, bytes.len() - 1] {
            let error = import(bytes[..cut].to_vec()).await.unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::InvalidInput, "{error:?}");
        }
    }
    let mut damaged = gzip;
    let crc = damaged.len() - 6;
    damaged[crc] ^= 1;
    assert!(matches!(import(damaged).await.unwrap_err(), StorageError::Archive(_)), "checksum of the compression");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use async_compression::tokio::write::GzipEncoder;
    use tokio::io::AsyncWriteExt as _;
    let encoding = async {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    };
    futures_util::FutureExt::now_or_never(encoding).expect("a Vec is always ready")
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let good = archive(vec![file(b"a", &[7; 5000])]);
    for bytes in [noise(2, 2000), b"not a tar".repeat(200), good[..700].to_vec(), good[..100].to_vec()] {
        let error = import(bytes).await.unwrap_err();
        assert!(matches!(error, StorageError::Archive(_)), "{error:?}");
    }
    assert!(import(Vec::new()).await.unwrap().is_none(), "nothing is an empty tree");
}

#[tokio::test]
async fn declared_sizes_and_names_are_bounded() {
    // 30 GiB declared: refused before it is read.
    let mut huge = header(EntryType::Regular, b"huge", 0);
    huge.set_size(30 << 30);
    huge.set_cksum();
    let error = import(huge.as_bytes().to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
    // A long name of 20 MB, and an extension header of that size; all else about them is fine.
    let comment = [&b"20971520 comment="[..], &vec![b'n'; (20 << 20) - 18], b"\n"].concat();
    for (kind, content) in [(EntryType::GNULongName, vec![b'n'; 20 << 20]), (EntryType::XHeader, comment)] {
        let bytes = archive(vec![(header(kind, b"x", 20 << 20), &content), file(b"a", b"1")]);
        let error = import(bytes).await.unwrap_err();
        assert!(matches!(error, StorageError::Archive(_)), "{error:?}");
    }
    // 100 MB of zeros in a few KB, under a limit of 50 MB.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(header(EntryType::Regular, b"bomb", 100 << 20).as_bytes()).unwrap();
    encoder.write_all(&vec![0; 100 << 20]).unwrap();
    let limits = drydock_storage::Limits::new(10, 50 << 20);
    let options = drydock_storage::WriteOptions { limits, ..options(None) };
    let bomb = Cursor::new(encoder.finish().unwrap());
    let error = import_tar(&storage(), options, &Registry::default(), bomb).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
}

#[tokio::test]
async fn contents_arrive_unchanged() {
    let storage = storage();
    let big = noise(3, 6 << 20);
    let bytes = archive(vec![file(b"big", &big), file(b"small", b"tiny"), file(b"empty", b"")]);
    let written = import_tar(&storage, options(None), &Registry::default(), Cursor::new(bytes)).await.unwrap().unwrap();
    assert!(read(&storage, &written.manifest, "big").await.unwrap() == big);
    assert_eq!(read(&storage, &written.manifest, "small").await.unwrap(), b"tiny");
    assert_eq!(read(&storage, &written.manifest, "empty").await.unwrap(), b"");
}

/// Red when only what becomes a file is counted: a few bytes can name thousands of directories.
#[tokio::test]
async fn what_an_archive_implies_and_leaves_out_counts_as_well() {
    let limits = drydock_storage::Limits::new(40, 1 << 20);
    let deep = [b"d/".repeat(45), b"f".to_vec()].concat();
    let protocol: Vec<Vec<u8>> = (0..41).map(|n| format!(".codex/request.json/{n}").into_bytes()).collect();
    let many = protocol.iter().map(|name| file(name, b"")).collect();
    for (name, entries) in [("implied directories", vec![file(&deep, b"x")]), ("protocol files", many)] {
        let options = drydock_storage::WriteOptions { limits, ..options(None) };
        let written = import_tar(&storage(), options, &Registry::default(), Cursor::new(archive(entries))).await;
        assert_eq!(written.unwrap_err().kind(), StorageErrorKind::TooLarge, "{name}");
    }
}

/// Red when the lengths of paths are not added up.
#[tokio::test]
async fn the_paths_of_an_archive_have_a_length_in_all() {
    let mut builder = Builder::new(Vec::new());
    // Each implies 2,000 directories whose paths are 4 MB together.
    for number in 0..40 {
        let name = format!("{number:03}/{}f", "d/".repeat(2000));
        let mut header = header(EntryType::Regular, b"", 0);
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }
    let error = import(builder.into_inner().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::TooLarge);
    assert!(error.to_string().contains("length of all paths"), "{error}");
}
