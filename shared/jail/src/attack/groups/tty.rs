//! The terminal of whoever started it.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::{
    super::{
        Attack, Canaries, Group,
        call::{call, past_the_gate},
    },
    privileges::found,
};

const TIOCLINUX: i32 = 0x541C;

/// This process's session; 0 where it was begun outside of this PID namespace, a number that no library's type holds.
pub(in crate::attack) fn session() -> io::Result<i64> {
    call!(SYS_getsid, 0)
}

pub(super) static GROUP: Group = Group {
    title: "Terminals",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("stay-in-session", "stays in the worker's session, and so at its terminal", |on| {
            found(session()? == on.facts.number::<i64>("session")?)
        }),
        Attack::new("type-into-terminal", "types into its terminal as if a person did (`TIOCSTI`)", |_| {
            let terminal = terminal()?;
            call!(SYS_ioctl, terminal.as_raw_fd(), libc::TIOCSTI, c"x").map(drop)
        }),
        Attack::new("type-into-anything", "asks the same of a pipe, which only a filter refuses", |_| {
            past_the_gate(call!(SYS_ioctl, 1, libc::TIOCSTI, c"x"), libc::ENOTTY)
        }),
        Attack::new("paste-into-terminal", "pastes into a virtual terminal (`TIOCLINUX`)", |_| {
            past_the_gate(call!(SYS_ioctl, 1, TIOCLINUX, c"\x03"), libc::ENOTTY)
        }),
        Attack::new("change-line-discipline", "gives a terminal another line discipline", |_| {
            let terminal = terminal()?;
            call!(SYS_ioctl, terminal.as_raw_fd(), libc::TIOCSETD, &super::super::call::halves(&[0])).map(drop)
        }),
    ],
};

/// A new terminal that is this process's own.
fn terminal() -> io::Result<OwnedFd> {
    let _ = rustix::process::setsid();
    let first = File::options().read(true).write(true).open("/dev/ptmx")?;
    call!(SYS_ioctl, first.as_raw_fd(), libc::TIOCSPTLCK, &super::super::call::halves(&[0]))?;
    let mut number = [0; 4];
    call!(SYS_ioctl, first.as_raw_fd(), libc::TIOCGPTN, &mut number)?;
    let second = File::options().read(true).write(true).open(format!("/dev/pts/{}", u32::from_ne_bytes(number)))?;
    call!(SYS_ioctl, second.as_raw_fd(), libc::TIOCSCTTY, 0)?;
    // The first end has to stay open as long as this process.
    std::mem::forget(first);
    Ok(second.into())
}
