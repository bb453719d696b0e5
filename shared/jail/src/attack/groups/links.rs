//! Ways round to files outside: links, `..`, `/proc`, descriptors of paths, and names moved across the wall.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags};

use super::{
    super::{Attack, Canaries, Group, Target},
    files::read,
};

pub(super) static GROUP: Group = Group {
    title: "Ways round to files",
    canaries: Canaries::Files,
    attacks: &[
        Attack::new("read-through-symlink", "reads through a link of its own that points outside", |on| {
            read(&linked(on, &on.file())?)
        })
        .controlled(),
        Attack::new("write-through-symlink", "writes through a link of its own that points outside", |on| {
            File::options().write(true).truncate(true).open(linked(on, &on.file())?).map(drop)
        })
        .controlled(),
        Attack::new("list-through-symlink", "lists a directory through a link of its own that points outside", |on| {
            std::fs::read_dir(linked(on, &on.folder())?).map(drop)
        })
        .controlled(),
        Attack::new("read-by-dot-dot", "climbs out of the workspace by `..`", |on| {
            read(&Path::new("..").join(on.side.as_str()).join(format!("{}.file", on.attack)))
        })
        .controlled(),
        Attack::new("read-by-own-root", "reads by `/proc/self/root`", |on| read(&below("/proc/self/root", &on.file())))
            .controlled(),
        Attack::new("read-by-thread-root", "reads by `/proc/thread-self/root`", |on| {
            read(&below("/proc/thread-self/root", &on.file()))
        })
        .controlled(),
        Attack::new("read-by-parent-root", "reads by the root of the process above it", |on| {
            let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
            read(&below(&format!("/proc/{parent}/root"), &on.file()))
        })
        .controlled(),
        Attack::new("read-by-working-directory", "enters a directory outside, then reads a bare name", |on| {
            rustix::process::chdir(on.around())?;
            read(Path::new(&format!("{}.file", on.attack)))
        })
        .controlled(),
        Attack::new(
            "reopen-path-descriptor",
            "opens a file outside as a path only, then that path by `/proc/self/fd`",
            |on| {
                let path = path_only(&on.file())?;
                read(Path::new(&format!("/proc/self/fd/{}", path.as_raw_fd())))
            },
        )
        .controlled(),
        Attack::new(
            "read-beside-path-descriptor",
            "opens a directory outside as a path only, then a file in it",
            |on| {
                let directory = path_only(&on.around())?;
                Ok(rustix::fs::openat(&directory, format!("{}.file", on.attack), OFlags::RDONLY, Mode::empty())
                    .map(drop)?)
            },
        )
        .controlled(),
        Attack::new("read-in-own-root", "opens a file with a directory outside as the root of the look-up", |on| {
            let directory = path_only(&on.around())?;
            Ok(rustix::fs::openat2(
                &directory,
                format!("/{}.file", on.attack),
                OFlags::RDONLY,
                Mode::empty(),
                ResolveFlags::IN_ROOT,
            )
            .map(drop)?)
        })
        .controlled(),
        Attack::new("execute-path-descriptor", "executes a file that it opened as a path only", |on| {
            let path = path_only(&on.file())?;
            super::programs::execute_descriptor(&path)
        })
        .controlled(),
        Attack::new("hard-link-in", "gives a file outside a second name inside", |on| {
            std::fs::hard_link(on.file(), on.mine("link"))
        })
        .controlled(),
        Attack::new("hard-link-out", "gives a file of its own a second name outside", |on| {
            std::fs::hard_link(on.own_file()?, on.named("link"))
        })
        .controlled(),
        Attack::new(
            "hard-link-path-descriptor",
            "gives a file that it opened as a path only a second name inside",
            |on| {
                let path = path_only(&on.file())?;
                let name = format!("/proc/self/fd/{}", path.as_raw_fd());
                Ok(rustix::fs::linkat(CWD, name, CWD, on.mine("link"), AtFlags::SYMLINK_FOLLOW)?)
            },
        )
        .controlled(),
        Attack::new("rename-in", "moves a file outside into the workspace", |on| {
            Ok(rustix::fs::rename(on.file(), on.mine("moved"))?)
        })
        .controlled(),
        Attack::new("rename-out", "moves a file of its own outside", |on| {
            Ok(rustix::fs::rename(on.own_file()?, on.named("moved"))?)
        })
        .controlled(),
        Attack::new("rename-directory-in", "moves a directory outside into the workspace", |on| {
            Ok(rustix::fs::rename(on.named("folder"), on.mine("moved"))?)
        })
        .controlled(),
        Attack::new("exchange-files", "exchanges a file outside with its own", |on| {
            Ok(rustix::fs::renameat_with(CWD, on.file(), CWD, on.own_file()?, RenameFlags::EXCHANGE)?)
        })
        .controlled(),
        Attack::new(
            "exchange-by-symlink",
            "exchanges a file outside with its own, through a link to the directory",
            |on| {
                let file = linked(on, &on.around())?.join(format!("{}.file", on.attack));
                Ok(rustix::fs::renameat_with(CWD, file, CWD, on.own_file()?, RenameFlags::EXCHANGE)?)
            },
        )
        .controlled(),
        Attack::new("copy-out", "copies into a file outside within the kernel", |on| {
            let mut from = File::open("/dev/zero")?;
            let mut to = File::options().write(true).open(on.file())?;
            io::copy(&mut io::Read::take(&mut from, 4), &mut to).map(drop)
        })
        .controlled(),
    ],
};

fn linked(on: &Target, to: &Path) -> io::Result<PathBuf> {
    let link = on.mine("symlink");
    std::os::unix::fs::symlink(to, &link)?;
    Ok(link)
}

fn below(root: &str, path: &Path) -> PathBuf {
    Path::new(root).join(path.strip_prefix("/").unwrap_or(path))
}

pub(super) fn path_only(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH, Mode::empty())?)
}
