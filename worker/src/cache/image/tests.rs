use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use drydock_domain::{Digest, Entry, EntryKind, LinkTarget, Mode, RelativePath, Tree};
use rustix::mount::MountAttrFlags;

use super::*;
use crate::mount::{Mounting, handle, unmount};

struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.0.path().join("on")).unwrap();
    }
}

impl Mounted {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("on")
    }
}

fn entry(path: &[u8], kind: EntryKind) -> Entry {
    Entry { path: RelativePath::new(path).unwrap(), kind }
}

fn file(path: &str, mode: u32, content: &[u8]) -> Entry {
    let kind = EntryKind::File { size: content.len() as u64, mode: Mode::new(mode), blob: Digest::of(content) };
    entry(path.as_bytes(), kind)
}

fn dir(path: &str, mode: u32) -> Entry {
    entry(path.as_bytes(), EntryKind::Dir { mode: Mode::new(mode) })
}

fn link(path: &str, target: &[u8]) -> Entry {
    entry(path.as_bytes(), EntryKind::Symlink { target: LinkTarget::new(target).unwrap() })
}

/// Mounts a tree whose pieces lie in `data` in turn, each from a block on.
fn mount(tree: &Tree, data: &[&[u8]], extents: &[Extent]) -> Mounted {
    let place = tempfile::tempdir().unwrap();
    let mut image = File::create(place.path().join("image")).unwrap();
    let mut devices = Vec::new();
    let mut mounting = Mounting::of("erofs").unwrap();
    let mut handles = Vec::new();
    for (number, bytes) in data.iter().enumerate() {
        let path = place.path().join(format!("data{number}"));
        let mut file = File::create(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.set_len((bytes.len() as u64).next_multiple_of(BLOCK)).unwrap();
        devices.push((bytes.len() as u64).div_ceil(BLOCK) as u32);
        handles.push(handle(&path).unwrap());
    }
    let layout = Layout::of(tree, devices.len()).unwrap();
    let written = write_image(&mut image, &layout, &devices, extents.iter().copied(), 1_700_000_000).unwrap();
    assert_eq!(written, layout.bytes());
    assert_eq!(written, image.seek(SeekFrom::End(0)).unwrap());
    let on = place.path().join("on");
    std::fs::create_dir(&on).unwrap();
    let image = handle(&place.path().join("image")).unwrap();
    mounting = mounting.place("source", &image);
    for handle in &handles {
        mounting = mounting.place("device", handle);
    }
    mounting.mount(handle(&on).unwrap(), MountAttrFlags::MOUNT_ATTR_RDONLY).unwrap();
    Mounted(place)
}

#[test]
fn the_kernel_reads_what_was_written() {
    let big: Vec<u8> = (0..9 << 20).map(|at: u32| (at / 4096 % 251) as u8).collect();
    let long = vec![b'x'; 4095];
    let tree = Tree::new(vec![
        file("!bang", 0o644, b"sorted before the dots"),
        file("big", 0o600, &big),
        dir("d", 0o750),
        dir("d/empty", 0o700),
        file("d/run", 0o755, b"#!/bin/sh\n"),
        file("d/void", 0o444, b""),
        link("d/up", b"../big"),
        link("long", &long),
    ])
    .unwrap();
    let small = b"sorted before the dots".to_vec();
    let mut first = vec![0; 2 * BLOCK as usize];
    first[..small.len()].copy_from_slice(&small);
    first[BLOCK as usize..][..10].copy_from_slice(b"#!/bin/sh\n");
    let at = Extent::new;
    let chunk = 1024;
    // The chunks of the big one out of order.
    let second = [&big[4 << 20..8 << 20], &big[..4 << 20], &big[8 << 20..]].concat();
    let extents = [at(0, 0), at(1, chunk), at(1, 0), at(1, 2 * chunk), at(0, 1)];
    let mounted = mount(&tree, &[&first, &second], &extents);
    let root = mounted.path();
    assert_eq!(fs_err::read(root.join("!bang")).unwrap(), small);
    assert!(fs_err::read(root.join("big")).unwrap() == big);
    assert_eq!(fs_err::read(root.join("d/run")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(fs_err::read(root.join("d/void")).unwrap(), b"");
    assert_eq!(std::fs::read_link(root.join("d/up")).unwrap(), Path::new("../big"));
    assert_eq!(std::fs::read_link(root.join("long")).unwrap().as_os_str().len(), 4095);
    let mode = |path: &str| std::fs::symlink_metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("d"), mode("d/empty"), mode("d/run"), mode("big")), (0o750, 0o700, 0o755, 0o600));
    let names = |path: &str| {
        let mut names: Vec<_> =
            std::fs::read_dir(root.join(path)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), ["!bang", "big", "d", "long"]);
    assert_eq!(names("d"), ["empty", "run", "up", "void"]);
    assert!(names("d/empty").is_empty());
    let d = std::fs::metadata(root.join("d")).unwrap();
    assert_eq!(std::fs::metadata(root.join("d/empty/..")).unwrap().ino(), d.ino());
    assert_eq!((d.nlink(), d.mtime()), (3, 1_700_000_000));
}

#[test]
fn a_directory_of_many_names_is_found_by_each() {
    let names: Vec<String> = (0..20_000).map(|number| format!("many/{number:x<40}")).collect();
    let mut entries = vec![dir("many", 0o755)];
    entries.extend(names.iter().map(|name| file(name, 0o644, b"")));
    let tree = Tree::new(entries).unwrap();
    let mounted = mount(&tree, &[], &[]);
    assert_eq!(std::fs::read_dir(mounted.path().join("many")).unwrap().count(), names.len());
    assert!(names.iter().all(|name| mounted.path().join(name).is_file()));
    assert!(!mounted.path().join("many/absent").exists());
}

#[test]
fn a_file_beyond_four_gigabytes_has_its_size() {
    let size = (5_u64 << 30) + 1;
    let kind = EntryKind::File { size, mode: Mode::new(0o644), blob: Digest::of(b"") };
    let tree = Tree::new(vec![entry(b"huge", kind)]).unwrap();
    let chunk = vec![7; 4 << 20];
    let extents = vec![Extent::new(0, 0); size.div_ceil(4 << 20) as usize];
    let mounted = mount(&tree, &[&chunk], &extents);
    let huge = File::open(mounted.path().join("huge")).unwrap();
    assert_eq!(huge.metadata().unwrap().len(), size);
    let mut end = [0; 2];
    assert_eq!(huge.read_at(&mut end, size - 1).unwrap(), 1);
    assert_eq!(end, [7, 0]);
}

#[test]
fn an_extent_that_may_be_missing_takes_8_bytes() {
    assert_eq!(size_of::<Option<Extent>>(), 8);
    assert_eq!(Extent::new(DEVICES_MAX as u16 - 1, 7).data(), DEVICES_MAX - 1);
}
