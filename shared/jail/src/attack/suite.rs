//! Runs every attack at one level.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use drydock_domain::Isolation;

use super::{arena::Arena, report, report::Report};
use crate::{Network, Policy};

/// What the jail has to close before it lets a program run.
const PLANTED: i32 = 7;
/// Files longer than this are beyond the jail's limit.
pub(super) const FILE_BYTES: u64 = 1 << 26;
/// One more descriptor than this is beyond the jail's limit.
pub(super) const OPEN_FILES: u64 = 128;

/// Tries every attack at `level`, made by the program `helper`, with the network closed; without a jail at [`Isolation::None`].
///
/// It needs nothing but `helper`, this crate's program, and leaves nothing behind. Only canaries are ever hit: what it
/// laid out in a temporary directory, started or listens on itself.
///
/// # Errors
/// The canaries could not be laid out, or no program ran in the jail.
pub fn run(helper: &Path, level: Isolation) -> io::Result<Report> {
    run_with(helper, level, false)
}

/// The same with a network that is open to one port, which is another than those attacked.
///
/// # Errors
/// As of [`run`].
pub fn run_with_ports(helper: &Path, level: Isolation) -> io::Result<Report> {
    run_with(helper, level, true)
}

fn run_with(helper: &Path, level: Isolation, has_port: bool) -> io::Result<Report> {
    let start = Instant::now();
    let helper = std::path::absolute(helper)?;
    let arena = Arena::new(&helper)?;
    let ports = |port| Network::Ports { connect: vec![port], listen: Vec::new() };
    let network = if has_port { ports(arena.allowed_port()?) } else { Network::Closed };
    let output = command(&helper, level, &network, &arena)?.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut cases = report::cases(&said).ok_or_else(|| {
        let last = said.lines().last().unwrap_or("nothing");
        io::Error::other(format!("{}; last said '{last}'; {}", output.status, String::from_utf8_lossy(&output.stderr)))
    })?;
    let strays = arena.judge(&mut cases)?;
    Ok(Report { level, network, cases, strays, took: start.elapsed() })
}

fn command(helper: &Path, level: Isolation, network: &Network, arena: &Arena) -> io::Result<Command> {
    let mut command = Command::new(helper);
    if level != Isolation::None {
        command.arg("run").args(policy(helper, level, network, arena.base()).to_args()).args([helper, helper]);
    }
    command.args(["probe", "attacks"]).args(arena.facts());
    command.env_clear().env("DRYDOCK_CANARY", "own").stdin(File::open(arena.base().join("outside/held"))?);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    plant(&mut command, File::open(arena.base().join("outside"))?);
    Ok(command)
}

/// Leaves `directory` open in the program that `command` starts, and in no other that this process starts meanwhile.
#[expect(unsafe_code, reason = "a descriptor can be left to one program only between fork and exec")]
fn plant(command: &mut Command, directory: File) {
    let left = move || match duplicate(&directory) {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    };
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(left) };
}

#[expect(unsafe_code, reason = "the number of the new descriptor is the point, and nobody here owns it")]
fn duplicate(directory: &File) -> i32 {
    // SAFETY: in a process that is about to execute a program nobody else uses this number.
    unsafe { libc::dup2(directory.as_raw_fd(), PLANTED) }
}

/// As for a job.
fn policy(helper: &Path, level: Isolation, network: &Network, base: &Path) -> Policy {
    Policy {
        level,
        workspace: base.join("inside"),
        write: Vec::new(),
        read: vec![helper.to_owned()],
        network: network.clone(),
        open_files: Some(OPEN_FILES),
        processes: None,
        file_bytes: Some(FILE_BYTES),
    }
}
