//! The file system of the namespace: an empty one in memory, in which nothing is but what is put there by name.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, symlinkat},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
        fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
    },
    process::{fchdir, pivot_root},
};

use super::{super::view, Owner};
use crate::{Policy, jail::sys};

/// Where the new root is put until it is the root: any directory that every machine has.
const PLACE: &str = "/usr";
/// Most bytes of `/tmp` and of `/dev/shm`, each: they are memory.
const MEMORY: &str = "size=256m,nr_inodes=64k";
/// What is made in `/dev`.
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("pts/ptmx", "dev/ptmx"),
];

/// Not the machine's but the namespace's own.
const MADE: [&str; 3] = ["/etc/passwd", "/etc/group", "/proc"];

/// A place of the machine outside that is to be seen at the same path inside.
struct Bind<'a> {
    path: &'a Path,
    tree: OwnedFd,
}

fn said(what: impl std::fmt::Display) -> impl FnOnce(rustix::io::Errno) -> io::Error {
    move |error| io::Error::other(format!("{what}: {error}"))
}

/// Makes the new root and makes it the root.
pub(super) fn enter(policy: &Policy, owner: Owner) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(said("make mounts private"))?;
    // All that is looked up outside is looked up here, while nothing of the job runs.
    let (shipped, own) = (shipped()?, own(policy)?);
    let root = memory("mode=0755", MountAttrFlags::empty())?;
    attach(&root, CWD, Path::new(PLACE))?;
    for bind in &shipped {
        put(&root, bind)?;
    }
    furnish(&root, policy, owner)?;
    for bind in &own {
        put(&root, bind)?;
    }
    sys::restrict_mount(root.as_fd(), false, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    fchdir(&root)?;
    pivot_root(".", ".").map_err(said("pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(said("leave the old root"))?;
    rustix::process::chdir("/").map_err(said("enter the new root"))
}

/// Read-only, as data and programs are.
fn for_reading() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// What of the machine every job sees.
fn shipped() -> io::Result<Vec<Bind<'static>>> {
    let device = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let data = view::PROGRAMS.iter().chain(&view::SETTINGS).chain(&view::KERNEL).map(|path| (path, for_reading()));
    let devices = view::DEVICES.iter().map(|path| (path, device));
    // Users and processes are the namespace's own.
    let outside = data.chain(devices).filter(|(path, _)| !MADE.contains(path));
    let there = outside
        .map(|(path, attributes)| (Path::new(path), attributes))
        .filter(|(path, _)| path.exists() && !is_linked_program(path));
    there.map(|(path, attributes)| open(path, attributes)).collect()
}

/// What this policy adds, in the order in which it is to be put: what the job writes comes last.
fn own(policy: &Policy) -> io::Result<Vec<Bind<'_>>> {
    let written = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let read = policy.read.iter().map(|path| (path, for_reading()));
    let write = policy.write.iter().chain([&policy.workspace]).map(|path| (path, written));
    read.chain(write).map(|(path, attributes)| open(path, attributes)).collect()
}

/// The link is made again; of settings, which are links on many machines, what they lead to is put in their place.
fn is_linked_program(path: &Path) -> bool {
    is_link(path) && view::PROGRAMS.iter().any(|program| Path::new(program) == path)
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_symlink())
}

fn open(path: &Path, attributes: MountAttrFlags) -> io::Result<Bind<'_>> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags).map_err(said(format!("open '{}'", path.display())))?;
    sys::restrict_mount(tree.as_fd(), true, attributes)?;
    Ok(Bind { path, tree })
}

/// A file system in memory, not attached anywhere yet.
fn memory(options: &str, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    filesystem("tmpfs", options, attributes | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn filesystem(kind: &str, options: &str, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let make = || {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some((key, value)) => fsconfig_set_string(context.as_fd(), key, value)?,
                None => rustix::mount::fsconfig_set_flag(context.as_fd(), option)?,
            }
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().map_err(said(format!("make a {kind}")))
}

fn attach(tree: &OwnedFd, directory: impl AsFd, path: &Path) -> io::Result<()> {
    move_mount(tree.as_fd(), "", directory.as_fd(), path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(said(format!("mount '{}'", path.display())))
}

/// Puts a place of the outside at its path inside, which is made as what it is.
fn put(root: &OwnedFd, bind: &Bind<'_>) -> io::Result<()> {
    let inside = bind.path.strip_prefix("/").unwrap_or(bind.path);
    let is_directory = FileType::from_raw_mode(fstat(&bind.tree)?.st_mode) == FileType::Directory;
    let above = if is_directory { Some(inside) } else { inside.parent() };
    make_directories(root.as_fd(), above.unwrap_or(Path::new("")))?;
    if !is_directory {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
        match openat(root, inside, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(said(format!("make '{}'", inside.display()))(error)),
        }
    }
    attach(&bind.tree, root, inside)
}

fn make_directories(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let mut above = std::path::PathBuf::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        above.push(name);
        match mkdirat(root, &above, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(said(format!("make '{}'", above.display()))(error)),
        }
    }
    Ok(())
}

/// What is the namespace's own: links to programs, users, processes, devices and memory.
fn furnish(root: &OwnedFd, policy: &Policy, owner: Owner) -> io::Result<()> {
    for program in view::PROGRAMS.iter().map(Path::new).filter(|path| is_link(path)) {
        let target = std::fs::read_link(program)?;
        symlinkat(&target, root, program.strip_prefix("/").unwrap_or(program))?;
    }
    make_directories(root.as_fd(), Path::new("etc"))?;
    let home = policy.write.first().map_or("/", |home| home.to_str().unwrap_or("/"));
    for (path, text) in owner.tables(home) {
        let flags = OFlags::CREATE | OFlags::CLOEXEC | OFlags::WRONLY;
        File::from(openat(root, path, flags, Mode::from_raw_mode(0o644))?).write_all(text.as_bytes())?;
    }
    let plain = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let processes = filesystem("proc", "", plain | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    let terminals = filesystem("devpts", "newinstance,ptmxmode=0666,mode=620", plain)?;
    let [tmp, shm] = [
        memory(&format!("mode=1777,{MEMORY}"), MountAttrFlags::empty())?,
        memory(&format!("mode=1777,{MEMORY}"), plain)?,
    ];
    for (tree, path) in [(processes, "proc"), (terminals, "dev/pts"), (tmp, "tmp"), (shm, "dev/shm")] {
        make_directories(root.as_fd(), Path::new(path))?;
        attach(&tree, root, Path::new(path))?;
    }
    for (target, link) in LINKS {
        symlinkat(target, root, link)?;
    }
    Ok(())
}
