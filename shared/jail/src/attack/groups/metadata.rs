//! What there is to know and to change of a file outside without opening it.

use std::{io, path::Path};

use rustix::fs::{Access, AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_NOW, XattrFlags, inotify};

use super::{
    super::{
        Attack, Canaries, Group, Target,
        call::{call, system_call, text, words},
        canary::ATTRIBUTE,
    },
    links::path_only,
};

const METADATA: &str =
    "Landlock has no right for what a file's inode says: the owner may still change it, anybody may look";

pub(super) static GROUP: Group = Group {
    title: "Metadata of files",
    canaries: Canaries::Files,
    attacks: &[
        Attack::new("stat-file", "asks for a file's size, owner and times", |on| {
            std::fs::metadata(on.file()).map(drop)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("prove-file-exists", "asks whether a file is there", |on| {
            Ok(rustix::fs::access(on.file(), Access::EXISTS)?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new(
            "tell-missing-from-forbidden",
            "tells by the error whether a file is there that it may not open",
            |on| {
                let answer = |path: &Path| {
                    std::fs::File::create_new(path.join("x")).err().and_then(|error| error.raw_os_error())
                };
                if answer(&on.file()) == answer(&on.named("missing")) {
                    Err(io::Error::from_raw_os_error(libc::ENOENT))
                } else {
                    Ok(())
                }
            },
        )
        .controlled()
        .residual(METADATA),
        Attack::new("read-symlink", "reads where a link points", |on| {
            std::fs::read_link(on.around().join("link")).map(drop)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("open-path-only", "opens a file as a path only", |on| path_only(&on.file()).map(drop))
            .controlled()
            .residual(METADATA),
        Attack::new("enter-directory", "makes a directory its working directory", |on| {
            Ok(rustix::process::chdir(on.folder())?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("statfs", "asks for the file system of a file", |on| Ok(rustix::fs::statfs(on.file()).map(drop)?))
            .controlled()
            .residual(METADATA),
        Attack::new("change-mode", "opens a file to everybody (`chmod`)", |on| {
            Ok(rustix::fs::chmod(on.file(), Mode::from_raw_mode(0o777))?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("change-mode-of-directory", "opens a directory to everybody", |on| {
            Ok(rustix::fs::chmod(on.named("folder"), Mode::from_raw_mode(0o777))?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("change-mode-by-descriptor", "`chmod` of a file that it opened as a path only", |on| {
            use std::os::fd::AsRawFd as _;
            let path = path_only(&on.file())?;
            Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", path.as_raw_fd()), Mode::from_raw_mode(0o777))?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("keep-owner", "`chown` of a file to who owns it, which drops its set-user-ID bit", |on| {
            owner(on, own().0, own().1)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("change-owner", "gives a file to another user", |on| owner(on, own().0 + 1, own().1 + 1)),
        Attack::new("change-times", "changes when a file was written", |on| {
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            let times = Timestamps { last_access: now, last_modification: now };
            Ok(rustix::fs::utimensat(CWD, on.file(), &times, AtFlags::empty())?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("set-attribute", "sets an extended attribute", |on| {
            Ok(rustix::fs::setxattr(on.file(), ATTRIBUTE, b"changed", XattrFlags::empty())?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("remove-attribute", "removes an extended attribute", |on| {
            Ok(rustix::fs::removexattr(on.file(), ATTRIBUTE)?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("get-attribute", "reads an extended attribute", |on| {
            Ok(rustix::fs::getxattr(on.file(), ATTRIBUTE, &mut [0_u8; 16]).map(drop)?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("list-attributes", "lists extended attributes", |on| {
            Ok(rustix::fs::listxattr(on.file(), &mut [0_u8; 64]).map(drop)?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("set-file-flags", "changes a file's flags by its path (`file_setattr`)", |on| {
            const FILE_SETATTR: libc::c_long = 469;
            const NO_DUMP: u64 = 0x80;
            let flags = words(&[NO_DUMP, 0, 0]);
            let (here, path) = (libc::AT_FDCWD, text(&on.file())?);
            system_call(FILE_SETATTR, &mut [here.into(), (&path).into(), (&flags).into(), 24.into(), 0.into()])
                .map(drop)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("watch-file", "asks to be told what happens to a file (inotify)", |on| {
            let watch = inotify::init(inotify::CreateFlags::empty())?;
            Ok(inotify::add_watch(&watch, on.file(), inotify::WatchFlags::ACCESS).map(drop)?)
        })
        .controlled()
        .residual(METADATA),
        Attack::new("watch-by-fanotify", "asks to be told what happens to a file (fanotify)", |on| {
            let watch = call!(SYS_fanotify_init, 0x200, 0)?;
            call!(SYS_fanotify_mark, watch, 1, 2, libc::AT_FDCWD, &text(&on.file())?).map(drop)
        }),
        Attack::new("take-file-handle", "asks for a handle by which a file can be opened past its path", |on| {
            let (mut handle, mut mount) = ([0; 136], [0; 4]);
            handle[0] = 128;
            call!(SYS_name_to_handle_at, libc::AT_FDCWD, &text(&on.file())?, &mut handle, &mut mount, 0).map(drop)
        }),
    ],
};

/// The user and group of this process.
pub(super) fn own() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn owner(on: &Target, user: u32, group: u32) -> io::Result<()> {
    std::os::unix::fs::chown(on.file(), Some(user), Some(group))
}
