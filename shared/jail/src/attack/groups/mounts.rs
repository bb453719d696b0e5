//! Mounts, and other roots. What must not be done where there is no jail stops at an error behind the question of rights.

use std::{io, path::Path};

use rustix::mount::{OpenTreeFlags, open_tree};

use super::super::{
    Attack, Canaries, Group, Target,
    call::{call, past_the_gate, text, words},
};

pub(super) static GROUP: Group = Group {
    title: "Mounts and roots",
    canaries: Canaries::Files,
    attacks: &[
        Attack::new("mount", "mounts a file system", |on| {
            // There is no such file system.
            let mounted = call!(SYS_mount, c"none", &text(&on.folder())?, c"drydock", 0, 0);
            past_the_gate(mounted, libc::ENODEV)
        }),
        Attack::new("mount-in-own-namespace", "mounts over a directory outside, in mounts of its own", |on| {
            own_mounts()?;
            call!(SYS_mount, c"none", &text(&on.folder())?, c"tmpfs", 0, 0).map(drop)
        }),
        Attack::new("mount-by-users", "the same as root of users of its own", |on| {
            call!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
            call!(SYS_mount, c"none", &text(&on.folder())?, c"tmpfs", 0, 0).map(drop)
        }),
        Attack::new("bind-mount", "binds a directory outside into the workspace", |on| {
            own_mounts()?;
            let place = on.mine("place");
            std::fs::DirBuilder::new().create(&place)?;
            call!(SYS_mount, &text(&on.around())?, &text(&place)?, 0, libc::MS_BIND, 0)?;
            super::files::read(&place.join(format!("{}.file", on.attack)))
        }),
        Attack::new("overlay-mount", "lays files of its own over a directory outside", |on| {
            own_mounts()?;
            let (lower, upper) = (on.folder(), on.around().join("other"));
            let options = format!("lowerdir={}:{}", upper.display(), lower.display());
            let options = text(Path::new(&options))?;
            call!(SYS_mount, c"none", &text(&lower)?, c"overlay", libc::MS_RDONLY, &options).map(drop)
        }),
        Attack::new("mount-fresh-proc", "mounts another `/proc`, without what covers this one", |on| {
            own_mounts()?;
            call!(SYS_mount, c"none", &text(&on.folder())?, c"proc", 0, 0).map(drop)
        }),
        Attack::new("remount-root", "makes all mounts shared or private anew", |_| {
            own_mounts()?;
            call!(SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_SLAVE, 0).map(drop)
        }),
        Attack::new("unmount", "unmounts", |on| {
            past_the_gate(call!(SYS_umount2, &text(&on.folder())?, 0), libc::EINVAL)
        }),
        Attack::new("open-file-system", "begins a mount by the new calls (`fsopen`)", |_| {
            call!(SYS_fsopen, c"tmpfs", 0).map(drop)
        }),
        Attack::new("make-mount", "makes a mount by the new calls (`fsmount`)", |_| {
            past_the_gate(call!(SYS_fsmount, -1, 0, 0), libc::EBADF)
        }),
        Attack::new("pick-mount", "takes up a mount to change it (`fspick`)", |_| {
            past_the_gate(call!(SYS_fspick, libc::AT_FDCWD, c"/proc", 0).map(drop), libc::EINVAL)
        }),
        Attack::new("copy-mount", "copies the mount of a directory outside (`open_tree`)", |on| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE;
            let tree = open_tree(rustix::fs::CWD, on.around(), flags)?;
            Ok(rustix::fs::openat(
                &tree,
                format!("{}.file", on.attack),
                rustix::fs::OFlags::RDONLY,
                rustix::fs::Mode::empty(),
            )
            .map(drop)?)
        }),
        Attack::new("move-mount", "moves a mount (`move_mount`)", |_| {
            past_the_gate(call!(SYS_move_mount, -1, c"x", -1, c"x", 0), libc::EBADF)
        }),
        Attack::new("set-mount-attributes", "makes mounts writable (`mount_setattr`)", |_| {
            own_mounts()?;
            let attributes = words(&[0, 1, 0, 0]);
            call!(SYS_mount_setattr, libc::AT_FDCWD, c"/", 0, &attributes, 32).map(drop)
        }),
        Attack::new("change-root", "makes a directory outside its root (`chroot`)", |on| {
            Ok(rustix::process::chroot(on.around())?)
        }),
        Attack::new("escape-root", "leaves its root by changing it twice", escape),
        Attack::new("pivot-root", "exchanges the root of its mounts (`pivot_root`)", |_| {
            own_mounts()?;
            past_the_gate(call!(SYS_pivot_root, c"/", c"/"), libc::EBUSY)
        }),
    ],
};

/// What is mounted from here on vanishes with this process.
fn own_mounts() -> io::Result<()> {
    call!(SYS_unshare, libc::CLONE_NEWNS)?;
    call!(SYS_mount, 0, c"/", 0, libc::MS_REC | libc::MS_PRIVATE, 0).map(drop)
}

/// The old way: a root below the working directory, and then up.
fn escape(on: &Target) -> io::Result<()> {
    let place = on.mine("root");
    std::fs::DirBuilder::new().create(&place)?;
    rustix::process::chroot(&place)?;
    (0..16).try_for_each(|_| rustix::process::chdir(".."))?;
    rustix::process::chroot(".")?;
    super::files::read(&on.file())
}
