//! What files outside say, and what directories outside hold.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::super::{
    Attack, Canaries, Group, Target,
    call::{call, text},
    canary::CONTENT,
    target::{Side, identity},
};

pub(super) static GROUP: Group = Group {
    title: "Contents of files and directories",
    canaries: Canaries::Files,
    attacks: &[
        Attack::new("read-file", "reads a file outside", |on| read(&on.file())).controlled(),
        Attack::new("write-file", "writes into a file outside", |on| write(OpenOptions::new().write(true), &on.file()))
            .controlled(),
        Attack::new("append-to-file", "appends to a file outside", |on| {
            write(OpenOptions::new().append(true), &on.file())
        })
        .controlled(),
        Attack::new("truncate-file", "shortens a file outside by its path", |on| {
            call!(SYS_truncate, &text(&on.file())?, 1).map(drop)
        })
        .controlled(),
        Attack::new("empty-file", "opens a file outside so that it is emptied", |on| {
            OpenOptions::new().write(true).truncate(true).open(on.file()).map(drop)
        })
        .controlled(),
        Attack::new("create-file", "makes a file outside", |on| File::create_new(on.named("new")).map(drop))
            .controlled(),
        Attack::new("create-unnamed-file", "makes a file without a name outside", |on| {
            Ok(rustix::fs::open(on.folder(), OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR).map(drop)?)
        })
        .controlled(),
        Attack::new("list-directory", "lists a directory outside", |on| std::fs::read_dir(on.folder()).map(drop))
            .controlled(),
        Attack::new("make-directory", "makes a directory outside", |on| DirBuilder::new().create(on.named("new")))
            .controlled(),
        Attack::new("remove-file", "removes a file outside", |on| std::fs::remove_file(on.file())).controlled(),
        Attack::new("remove-directory", "removes a directory outside", |on| std::fs::remove_dir(on.named("folder")))
            .controlled(),
        Attack::new("rename-file", "renames a file outside", |on| {
            Ok(rustix::fs::rename(on.file(), on.named("renamed"))?)
        })
        .controlled(),
        Attack::new("make-symlink", "makes a symbolic link outside", |on| {
            std::os::unix::fs::symlink("held", on.named("new"))
        })
        .controlled(),
        Attack::new("make-fifo", "makes a FIFO outside", |on| make(on, FileType::Fifo)).controlled(),
        Attack::new("make-socket", "makes a socket's file outside", |on| make(on, FileType::Socket)).controlled(),
        Attack::new("open-fifo", "opens a FIFO outside for both directions", |on| {
            OpenOptions::new().read(true).write(true).open(on.around().join("fifo")).map(drop)
        })
        .controlled(),
        Attack::new("execute-program", "executes a program outside", |on| Err(Command::new(on.file()).exec()))
            .controlled(),
        Attack::new("read-passwords", "opens `/etc/shadow`", |_| File::open("/etc/shadow").map(drop)),
        Attack::new("write-users", "opens `/etc/passwd` for writing", |on| to_write(on, "/etc/passwd")).controlled(),
        Attack::new("write-program", "opens a program of the system for writing", |on| to_write(on, "/usr/bin/env"))
            .controlled(),
        Attack::new("list-root", "lists the machine's `/root`", |_| std::fs::read_dir("/root").map(drop)),
        Attack::new("write-shared-tmp", "makes a file in the `/tmp` that all programs share", |on| {
            shared(on, "/tmp", "tmp")
        }),
        Attack::new("write-shared-memory-files", "makes a file in the `/dev/shm` that all programs share", |on| {
            shared(on, "/dev/shm", "shm")
        }),
    ],
};

/// Reads a canary.
pub(super) fn read(path: &Path) -> io::Result<()> {
    let read = io::read_to_string(File::open(path)?)?;
    if read.as_bytes() == CONTENT { Ok(()) } else { Err(io::Error::other("another file")) }
}

/// Opens a file of the machine's as an attack would that then writes, and does not. Inside, one of its own.
pub(super) fn to_write(on: &Target, path: &str) -> io::Result<()> {
    let path = if on.side == Side::Inside { on.own_file()? } else { path.into() };
    OpenOptions::new().write(true).open(path).map(drop)
}

fn write(options: &OpenOptions, path: &Path) -> io::Result<()> {
    options.open(path)?.write_all(b"written")
}

fn make(on: &Target, kind: FileType) -> io::Result<()> {
    Ok(rustix::fs::mknodat(CWD, on.named("new"), kind, Mode::RUSR, 0)?)
}

/// A file without a name in `path`, if that is the directory outside and not one by the same name.
fn shared(on: &Target, path: &str, fact: &str) -> io::Result<()> {
    if identity(Path::new(path))? != on.facts.text(fact)? {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    Ok(rustix::fs::open(path, OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR).map(drop)?)
}
