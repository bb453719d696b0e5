use std::{collections::BTreeMap, os::unix::fs::symlink};

use tar::Archive;

use super::*;

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    fs_err::create_dir_all(at("src/deep")).unwrap();
    fs_err::create_dir_all(at("target/debug")).unwrap();
    fs_err::write(at("src/b.rs"), "b").unwrap();
    fs_err::write(at("src/a.rs"), "aa").unwrap();
    fs_err::write(at("target/debug/x"), "x").unwrap();
    fs_err::write(at("run.sh"), "#!/bin/sh\n").unwrap();
    fs_err::set_permissions(at("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::write(at(&"n".repeat(200)), "long name").unwrap();
    fs_err::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "not UTF-8").unwrap();
    symlink(".//src/../run.sh", at("untidy")).unwrap();
    symlink("../".repeat(60), at("long")).unwrap();
    dir
}

fn archive(root: &Path, exclude: &[&str]) -> (Vec<u8>, Totals) {
    let mut bytes = Vec::new();
    let exclude = Exclude::new(exclude.iter().map(Into::into));
    let totals = write(root, &exclude, &mut bytes, &mut |text| panic!("{text}")).unwrap();
    (bytes, totals)
}

fn paths(bytes: &[u8]) -> Vec<String> {
    let mut archive = Archive::new(bytes);
    let entries =
        archive.entries().unwrap().map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned());
    entries.collect()
}

#[test]
fn everything_arrives_in_order_with_its_mode_and_target() {
    let dir = tree();
    let (bytes, totals) = archive(dir.path(), &[]);
    let mut order = paths(&bytes);
    let long = "n".repeat(200);
    assert_eq!(
        order,
        [
            "caf\u{fffd}",
            "long",
            &long,
            "run.sh",
            "src",
            "src/a.rs",
            "src/b.rs",
            "src/deep",
            "target",
            "target/debug",
            "target/debug/x",
            "untidy"
        ]
    );
    order.clear();
    let mut seen = BTreeMap::new();
    let mut read = Archive::new(bytes.as_slice());
    for entry in read.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let link = entry.link_name_bytes().map(|link| link.into_owned());
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        seen.insert(name, (entry.header().mode().unwrap(), content, link));
    }
    assert_eq!(seen["run.sh"].0, 0o755);
    assert_eq!(seen["src/a.rs"].1, b"aa");
    assert_eq!(seen[&long].1, b"long name");
    assert_eq!(seen["untidy"].2.as_deref(), Some(b".//src/../run.sh".as_slice()));
    assert_eq!(seen["long"].2.as_deref(), Some("../".repeat(60).as_bytes()));
    assert_eq!(totals.files, 8);
    assert_eq!(archive(dir.path(), &[]).0, bytes, "the same tree, the same bytes");
}

#[test]
fn names_and_paths_can_be_left_out() {
    let dir = tree();
    let (bytes, _) = archive(dir.path(), &["target", "./src/deep/", "src/a.rs"]);
    let left = paths(&bytes);
    assert!(
        !left.iter().any(|path| path.starts_with("target") || path == "src/deep" || path == "src/a.rs"),
        "{left:?}"
    );
    assert!(left.contains(&"src/b.rs".to_owned()));
    let (bytes, _) = archive(dir.path(), &["./debug", "deep"]);
    assert!(paths(&bytes).contains(&"target/debug".to_owned()), "a path is from the top");
}

#[test]
fn what_is_ignored_stays_and_what_is_wrong_with_the_rules_is_told() {
    let dir = tree();
    fs_err::create_dir_all(dir.path().join(".git")).unwrap();
    fs_err::write(dir.path().join(".git/index.lock"), "").unwrap();
    fs_err::write(dir.path().join(".drydockignore"), "target/\n*.rs\n!b.rs\n[z-a]\n").unwrap();
    let (mut bytes, mut told) = (Vec::new(), Vec::new());
    let totals = write(dir.path(), &Exclude::default(), &mut bytes, &mut |text| told.push(text.to_owned())).unwrap();
    let left = paths(&bytes);
    assert!(left.contains(&"src/b.rs".to_owned()) && left.contains(&".drydockignore".to_owned()), "{left:?}");
    let ignored = |path: &String| path.starts_with("target") || path == "src/a.rs" || path == ".git/index.lock";
    assert!(!left.iter().any(ignored), "{left:?}");
    assert_eq!(totals.ignored, 3, "a directory counts once");
    assert!(matches!(&told[..], [one] if one.starts_with(".drydockignore line 4 is not heeded")), "{told:?}");
}

#[test]
fn what_is_no_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let mut named = Vec::new();
    let mut bytes = Vec::new();
    write(dir.path(), &Exclude::default(), &mut bytes, &mut |text| named.push(text.to_owned())).unwrap();
    assert_eq!(named, ["left out 'socket': it is no file, directory or symbolic link"]);
    assert!(paths(&bytes).is_empty());
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs_err::write(&path, "1234").unwrap();
    let mut exact = Exact { file: fs_err::File::open(&path).unwrap(), left: 5, hasher: blake3::Hasher::new() };
    let error = exact.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("shorter"), "{error}");
}

/// Red when what a swapped link leads to is read, and when a pipe is waited for.
#[test]
fn what_is_no_file_any_more_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link, pipe) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("pipe"));
    fs_err::write(&file, "secret").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(open(&file).is_ok() && open(&link).is_err() && open(&pipe).is_err() && open(dir.path()).is_err());
}
