//! The system calls that no library wraps, each behind a function that cannot be called wrongly. All `unsafe` of the jail itself is here.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use rustix::{io::Errno, mount::MountAttrFlags, process::Pid};

/// Which side of a fork this is.
pub(super) enum Forked {
    /// The new process.
    Child,
    /// The old one, which learns the new one's number.
    Parent(Pid),
}

/// New namespaces of a child: user, mount, process, IPC, host name and cgroup; network where asked.
pub(super) const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;
/// And its own network.
pub(super) const NEW_NETWORK: i32 = libc::CLONE_NEWNET;

fn answer(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// fork(2), with the flags of new namespaces. The helper has one thread, so that the child may do whatever its parent could.
#[expect(unsafe_code, reason = "no safe library forks")]
pub(super) fn fork(namespaces: i32) -> io::Result<Forked> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // SAFETY: clone(2) without CLONE_VM and without a stack is fork(2); this process has one thread (see `main`), so that no lock is
    // held by a thread that the child lacks.
    let pid = answer(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    match i32::try_from(pid).ok().and_then(Pid::from_raw) {
        Some(pid) => Ok(Forked::Parent(pid)),
        None => Ok(Forked::Child),
    }
}

/// Ends this process at once: what its parent has buffered is not written a second time.
#[expect(unsafe_code, reason = "the standard library's exit runs handlers that are the parent's")]
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Ends this process by a signal, as its child was ended.
#[expect(unsafe_code, reason = "no safe library resets a signal's disposition")]
pub(super) fn end_by(signal: i32) -> ! {
    // SAFETY: plain system calls on this process; SIG_DFL runs no code of ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
    }
    // Another signal that waits would be quicker.
    set_blocked(
        &[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT]
            .map(|other| if other == signal { libc::SIGCHLD } else { other }),
    );
    // SAFETY: as above.
    unsafe {
        libc::raise(signal);
    }
    exit_now(128 + signal)
}

/// Lets the kernel kill this process when its parent is gone (`PR_SET_PDEATHSIG`).
pub(super) fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// Sends a signal to everything that this process may signal, itself and the first process of its namespace excepted. Who calls it has
/// proved that this is the jail and nothing else.
#[expect(unsafe_code, reason = "the library's kill takes no -1")]
pub(super) fn kill_everything() {
    // SAFETY: a plain system call. ESRCH: there was nothing left.
    unsafe {
        libc::kill(-1, libc::SIGKILL);
    }
}

/// Blocks these signals and no others.
#[expect(unsafe_code, reason = "no library that we have blocks signals")]
pub(super) fn set_blocked(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: the set is initialized by sigemptyset before it is read, and lives on this stack.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        set
    }
}

/// A descriptor that tells of these signals, which are blocked from now on.
#[expect(unsafe_code, reason = "no library that we have makes a signalfd")]
pub(super) fn signals(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_blocked(signals);
    // SAFETY: the set is initialized; the answer, if none of an error, is a descriptor that nobody else owns.
    unsafe {
        let fd = answer(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?))
    }
}

/// The next signal of a [`signals`] descriptor, if there is one.
#[expect(unsafe_code, reason = "a signal is read as the kernel's structure")]
pub(super) fn next_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the structure is plain numbers, for which zeroes are valid, and has the size that is told.
    let (read, info) = unsafe {
        let mut info: libc::signalfd_siginfo = std::mem::zeroed();
        (libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size), info)
    };
    (usize::try_from(read) == Ok(size)).then_some(info.ssi_signo).and_then(|number| i32::try_from(number).ok())
}

/// Closes every descriptor from `first` on, but for none.
#[expect(unsafe_code, reason = "descriptors are closed that nothing of this process owns")]
pub(super) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: called before this program has opened any descriptor of its own.
    answer(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Adds attributes to a mount and to those below it.
///
/// The library has no `mount_setattr` (Linux 5.12).
#[expect(unsafe_code, reason = "no library that we have wraps mount_setattr(2)")]
pub(super) fn restrict_mount(mount: BorrowedFd<'_>, below: bool, attributes: MountAttrFlags) -> io::Result<()> {
    let attr = libc::mount_attr { attr_set: attributes.bits().into(), attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string and the structure has the size that is told; both outlive the call.
    answer(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Brings up the loopback device of this network namespace.
#[expect(unsafe_code, reason = "no library that we have sets a device's flags")]
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: the request is plain numbers, for which zeroes are valid; its name ends with a zero; the kernel reads its flags alone.
    answer(unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = i8_of(b'l');
        request.ifr_name[1] = i8_of(b'o');
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request).into()
    })
    .map(drop)
}

/// A letter as C has it on this architecture.
fn i8_of(letter: u8) -> libc::c_char {
    libc::c_char::try_from(letter).unwrap_or_default()
}

/// Sets the host name of this namespace.
#[expect(unsafe_code, reason = "no library that we have sets the host name")]
pub(super) fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: the bytes outlive the call and have the length that is told.
    answer(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()).into() }).map(drop)
}

/// How many filters lie on this process: 2 is `SECCOMP_MODE_FILTER`.
#[expect(unsafe_code, reason = "no library that we have reads the seccomp mode")]
pub(super) fn seccomp_mode() -> io::Result<libc::c_long> {
    // SAFETY: a plain system call without pointers.
    answer(unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0).into() })
}

/// The error's number, for those who tell it on.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())
}
