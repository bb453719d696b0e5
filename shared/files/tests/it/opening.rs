//! What each kind of thing at a path comes to, with `openat2` and without.

use std::{io::Read as _, os::unix::fs::symlink, path::Path};

use drydock_domain::RelativePath;
use drydock_files::{Directories, FileError, Kind, Links, OpenFile, Opened, Root, open_file};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, mkfifoat, openat};
use tempfile::TempDir;

/// A directory `tree` with one of each kind, and a file beside it.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fs_err::create_dir_all(tree.join("sub")).unwrap();
    fs_err::write(place.path().join("secret"), "secret").unwrap();
    fs_err::write(tree.join("sub/file"), "inside").unwrap();
    let links = [
        ("../secret", "out"),
        ("/etc/passwd", "absolute"),
        ("sub/file", "in"),
        ("sub", "dir"),
        ("loop", "loop"),
        ("gone", "dangling"),
        ("/proc/self/root", "magic"),
        ("..", "up"),
    ];
    for (target, name) in links {
        symlink(target, tree.join(name)).unwrap();
    }
    mkfifoat(CWD, tree.join("pipe"), Mode::RWXU).unwrap();
    std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    place
}

fn text(file: &OpenFile) -> String {
    let mut text = String::new();
    file.reader().read_to_string(&mut text).unwrap();
    text
}

fn error(root: &Root, path: &str, links: Links) -> Option<FileError> {
    root.open(&path.parse().unwrap(), links).and_then(Opened::into_file).err()
}

fn both(tree: &Path) -> [(&'static str, Root); 2] {
    [("openat2", Root::at(tree).unwrap()), ("by component", Root::at(tree).unwrap().without_openat2())]
}

#[test]
fn without_links_only_what_is_there_itself_is_found() {
    let place = place();
    for (way, root) in both(&place.path().join("tree")) {
        let opened = root.open(&"sub/file".parse().unwrap(), Links::None).unwrap().into_file().unwrap();
        assert_eq!(text(&opened), "inside", "{way}");
        assert!(matches!(root.open(&"sub".parse().unwrap(), Links::None), Ok(Opened::Directory(_))), "{way}");
        for link in ["out", "absolute", "in", "dir", "loop", "dangling", "magic"] {
            let opened = root.open(&link.parse().unwrap(), Links::None);
            assert!(matches!(opened, Ok(Opened::Symlink)), "{way} {link}: {opened:?}");
        }
        for (path, expected) in [
            ("dir/file", FileError::Link),
            ("magic/etc/passwd", FileError::Link),
            ("up/secret", FileError::Link),
            ("none", FileError::NotFound),
            ("sub/file/child", FileError::NotFound),
            ("sub", FileError::UnsupportedType(Kind::Directory)),
            ("in", FileError::UnsupportedType(Kind::Symlink)),
            ("pipe", FileError::UnsupportedType(Kind::Pipe)),
            ("socket", FileError::UnsupportedType(Kind::Special)),
        ] {
            assert_eq!(error(&root, path, Links::None), Some(expected), "{way} {path}");
        }
    }
}

#[test]
fn links_lead_to_what_is_inside_and_nowhere_else() {
    let place = place();
    let [(_, root), (_, walking)] = both(&place.path().join("tree"));
    for path in ["in", "dir/file"] {
        let opened = root.open(&path.parse().unwrap(), Links::Inside).unwrap().into_file().unwrap();
        assert_eq!(text(&opened), "inside", "{path}");
        assert_eq!(error(&walking, path, Links::Inside), Some(FileError::NoSafeLinks), "{path}");
    }
    for (path, expected) in [
        ("out", FileError::Outside),
        ("absolute", FileError::Outside),
        ("magic/etc/passwd", FileError::Outside),
        ("up/secret", FileError::Outside),
        ("loop", FileError::Link),
        ("dangling", FileError::NotFound),
        ("pipe", FileError::UnsupportedType(Kind::Pipe)),
    ] {
        assert_eq!(error(&root, path, Links::Inside), Some(expected), "{path}");
    }
}

/// `/proc` is always another file system.
#[test]
fn another_file_system_is_outside() {
    for (way, root) in both(Path::new("/")) {
        assert!(matches!(root.open(&"etc/passwd".parse().unwrap(), Links::None), Ok(Opened::File(_))), "{way}");
        assert_eq!(error(&root, "proc/version", Links::None), Some(FileError::Outside), "{way}");
    }
}

#[test]
fn the_longest_path_is_found_and_one_name_that_is_too_long_is_said_so() {
    let place = place();
    let name = "x".repeat(255);
    let mut directory = openat(CWD, place.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..15 {
        mkdirat(&directory, &name, Mode::RWXU).unwrap();
        directory = openat(&directory, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    mkdirat(&directory, &name, Mode::RWXU).unwrap();
    let longest = RelativePath::new(vec![name.as_str(); 16].join("/")).unwrap();
    assert_eq!(longest.as_bytes().len(), 4095);
    for (way, root) in both(place.path()) {
        assert!(matches!(root.open(&longest, Links::None), Ok(Opened::Directory(_))), "{way}");
        let deep = RelativePath::new("d/".repeat(2047) + "dd").unwrap();
        assert_eq!(deep.as_bytes().len(), 4096);
        assert_eq!(error(&root, deep.to_str().unwrap(), Links::None), Some(FileError::NotFound), "{way}");
        assert_eq!(error(&root, deep.to_str().unwrap(), Links::Inside), Some(FileError::TooLong), "{way}");
    }
}

#[test]
fn a_file_that_grows_gives_no_more_than_it_had() {
    let place = place();
    let path = place.path().join("tree/sub/file");
    let root = Root::at(&place.path().join("tree")).unwrap();
    let file = root.open(&"sub/file".parse().unwrap(), Links::None).unwrap().into_file().unwrap();
    fs_err::write(&path, "inside and more").unwrap();
    assert_eq!((text(&file).as_str(), file.length()), ("inside", 6));
    assert_eq!(file.stat_now().unwrap().st_size, 15);
    let file = root.open(&"sub/file".parse().unwrap(), Links::None).unwrap().into_file().unwrap();
    assert_eq!(file.head(3).unwrap(), b"ins");
}

#[test]
fn a_name_in_a_directory_is_a_file_or_is_said_what_it_is() {
    let place = place();
    let tree = Root::at(&place.path().join("tree")).unwrap();
    let mut directories = Directories::below(&tree);
    let parent = directories.at(b"").unwrap();
    for (name, kind) in
        [("in", Kind::Symlink), ("sub", Kind::Directory), ("pipe", Kind::Pipe), ("socket", Kind::Special)]
    {
        let opened = open_file(parent, name.as_bytes());
        assert_eq!(opened.err(), Some(FileError::UnsupportedType(kind)), "{name}");
    }
    assert_eq!(open_file(parent, b"none").err(), Some(FileError::NotFound));
    assert_eq!(text(&open_file(directories.at(b"sub").unwrap(), b"file").unwrap()), "inside");
    assert!(Root::at(&place.path().join("tree/dir")).is_err(), "a link is no root");
}
