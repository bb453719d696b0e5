//! Devices, made and opened.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _};

use rustix::fs::{CWD, FileType, Mode, makedev};

use super::super::{Attack, Canaries, Group, Target, target::Side};

pub(super) static GROUP: Group = Group {
    title: "Devices",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("make-character-device", "makes a character device", |on| {
            make(on, FileType::CharacterDevice, 1, 3)
        }),
        Attack::new("make-block-device", "makes a block device", |on| make(on, FileType::BlockDevice, 7, 0)),
        Attack::new("make-memory-device", "makes the device of the machine's memory", |on| {
            make(on, FileType::CharacterDevice, 1, 1)
        }),
        Attack::new("open-memory", "opens `/dev/mem`", |on| open(on, "/dev/mem")).controlled(),
        Attack::new("open-kernel-memory", "opens `/dev/kmem`", |on| open(on, "/dev/kmem")).controlled(),
        Attack::new("open-ports", "opens `/dev/port`", |on| open(on, "/dev/port")).controlled(),
        Attack::new("open-kernel-messages", "opens `/dev/kmsg`", |on| open(on, "/dev/kmsg")).controlled(),
        Attack::new("open-virtual-machines", "opens `/dev/kvm`", |on| open(on, "/dev/kvm")).controlled(),
        Attack::new("open-user-file-systems", "opens `/dev/fuse`", |on| open(on, "/dev/fuse")).controlled(),
        Attack::new("open-tunnels", "opens `/dev/net/tun`", |on| open(on, "/dev/net/tun")).controlled(),
        Attack::new("open-loop-control", "opens `/dev/loop-control`", |on| open(on, "/dev/loop-control")).controlled(),
        Attack::new("open-user-faults", "opens `/dev/userfaultfd`", |on| open(on, "/dev/userfaultfd")).controlled(),
        Attack::new("open-vsock", "opens `/dev/vsock`", |on| open(on, "/dev/vsock")).controlled(),
        Attack::new("open-console", "opens `/dev/console`", |on| open(on, "/dev/console")).controlled(),
        Attack::new("open-virtual-terminal", "opens `/dev/tty1`", |on| open(on, "/dev/tty1")).controlled(),
        Attack::new("open-screen", "opens `/dev/vcs1`, what a virtual terminal shows", |on| open(on, "/dev/vcs1"))
            .controlled(),
        Attack::new("open-disk", "opens a disk of the machine", |_| {
            let disks = ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/xvda"];
            let results = disks.map(|disk| File::open(disk).map(drop));
            let refused = |error: &io::Error| error.kind() != io::ErrorKind::NotFound;
            if results.iter().any(Result::is_ok) {
                return Ok(());
            }
            let missing = || io::Error::from_raw_os_error(libc::ENOENT);
            Err(results.into_iter().filter_map(Result::err).find(refused).unwrap_or_else(missing))
        }),
    ],
};

fn make(on: &Target, kind: FileType, major: u32, minor: u32) -> io::Result<()> {
    Ok(rustix::fs::mknodat(CWD, on.mine("device"), kind, Mode::RUSR | Mode::WUSR, makedev(major, minor))?)
}

/// For reading alone, without waiting and without making it this process's terminal. Inside, a device that it may open.
fn open(on: &Target, path: &str) -> io::Result<()> {
    let path = if on.side == Side::Inside { "/dev/null" } else { path };
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map(drop)
}
