//! What whoever started it left open.

use std::{fs::File, io, os::fd::AsFd as _, path::PathBuf};

use super::{
    super::{Attack, Canaries, Group, target::identity},
    privileges::found,
};

pub(super) static GROUP: Group = Group {
    title: "Descriptors left open",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("open-beside-descriptor", "opens a file in a directory that was left open", |_| {
            any(|path| File::open(path.join("held")))
        }),
        Attack::new("climb-from-descriptor", "opens what is above a directory that was left open", |_| {
            any(|path| std::fs::read_dir(path.join("..")))
        }),
        Attack::new("work-in-descriptor", "makes a directory that was left open its working directory", |_| {
            any(|path| Ok(rustix::process::chdir(path)?))
        }),
        Attack::new("read-input", "opens anew what it was given as standard input", |on| {
            let input = rustix::fs::fstat(io::stdin().as_fd())?;
            let held = rustix::fs::stat(on.around().join("held"));
            if held.is_ok_and(|held| (held.st_dev, held.st_ino) == (input.st_dev, input.st_ino)) {
                return File::open("/proc/self/fd/0").map(drop);
            }
            Err(io::Error::from_raw_os_error(libc::ENOENT))
        }),
        Attack::new("read-output-of-worker", "opens the worker's standard output", |on| {
            let worker: i32 = on.facts.number("worker")?;
            let output = PathBuf::from(format!("/proc/{worker}/fd/1"));
            File::options().write(true).open(&output)?;
            // In another namespace the number may be one of its own processes'.
            found(identity(&output)? == on.facts.text("output")?)
        }),
    ],
};

/// Whether `attempt` succeeds on any of the descriptors that this program did not open itself.
fn any<T>(attempt: impl Fn(PathBuf) -> io::Result<T>) -> io::Result<()> {
    let mut last = Err(io::Error::from_raw_os_error(libc::EBADF));
    for number in 3..=20 {
        let path = PathBuf::from(format!("/proc/self/fd/{number}"));
        let is_directory = std::fs::metadata(&path).is_ok_and(|found| found.is_dir());
        if is_directory {
            last = attempt(path).map(drop);
        }
        if last.is_ok() {
            return last;
        }
    }
    last
}
