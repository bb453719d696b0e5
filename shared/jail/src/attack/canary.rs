//! Things that show what was done to them: files and processes.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
    sync::atomic::AtomicU64,
};

use rustix::{
    fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags},
    process::{PTracer, Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid},
    thread::{CapabilitySet, CapabilitySets, set_capabilities},
};

use super::{
    call::{call, fork, words},
    target::{Facts, Process},
};

/// What a canary file says. It is a program as well.
pub(super) const CONTENT: &[u8] = b"#!/bin/true\nsecret\n";
/// What each canary process has at [`Processes::address`].
pub(super) const SECRET: u64 = 0x7465_7263_6573;
static MEMORY: AtomicU64 = AtomicU64::new(SECRET);
/// An attribute of each canary file.
pub(super) const ATTRIBUTE: &str = "user.canary";

/// Lays out in `around` what attacks share.
pub(super) fn lay_shared(around: &Path) -> io::Result<()> {
    for name in
        ["folder", "other", "remove-directory.folder", "rename-directory-in.folder", "change-mode-of-directory.folder"]
    {
        DirBuilder::new().mode(0o755).create(around.join(name))?;
    }
    File::create(around.join("held"))?;
    std::os::unix::fs::symlink("held", around.join("link"))?;
    Ok(rustix::fs::mknodat(CWD, around.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)?)
}

/// Lays out the file of one attack.
pub(super) fn lay(path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(CONTENT)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o750))?;
    // A file system without attributes has none to protect.
    let _ = rustix::fs::fsetxattr(&file, ATTRIBUTE, b"secret", XattrFlags::empty());
    let time = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    Ok(rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
}

/// Everything there is to change of the files in `around`, and in which files there are; by the attack whose name they bear.
pub(super) fn snapshot(around: &Path) -> io::Result<BTreeMap<String, Vec<String>>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(around)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let attack = name.split('.').next().unwrap_or_default().to_owned();
        found.entry(attack).or_default().push(format!("{name}: {}", describe(&entry.path())));
    }
    found.values_mut().for_each(|lines| lines.sort());
    Ok(found)
}

fn describe(path: &Path) -> String {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let line = format!("{:o} {}:{} {} {}", found.mode(), found.uid(), found.gid(), found.nlink(), found.mtime());
    if !found.is_file() {
        return line;
    }
    let mut attribute = [0; 16];
    let content = File::open(path).and_then(io::read_to_string);
    let length = rustix::fs::getxattr(path, ATTRIBUTE, &mut attribute).unwrap_or_default();
    format!("{line} {content:?} {:?}", String::from_utf8_lossy(&attribute[..length]))
}

/// Sleeping processes, one for each attack that is after one, and the queues that outlive who made them.
pub(super) struct Processes {
    pub(super) pids: Vec<i32>,
    held: File,
    before: Vec<String>,
}

impl Processes {
    /// `count` of them, which hold a canary file of `around` open and end with this process.
    pub(super) fn start(around: &Path, count: usize) -> io::Result<Self> {
        let held = File::open(around.join("held"))?;
        let (mut all_asleep, awake) = io::pipe()?;
        let pids = (0..count).map(|_| sleeper(&awake)).collect::<io::Result<Vec<_>>>()?;
        drop(awake);
        io::copy(&mut all_asleep, &mut io::sink())?;
        let before = pids.iter().map(|pid| state(*pid)).collect();
        Ok(Self { pids, held, before })
    }

    pub(super) fn address() -> u64 {
        MEMORY.as_ptr().addr() as u64
    }

    pub(super) fn descriptor(&self) -> i32 {
        self.held.as_raw_fd()
    }

    /// The `index`th, for the controls of who started them.
    pub(super) fn own(&self, index: usize) -> Option<Process> {
        let pid = *self.pids.get(index)?;
        Some(Process { pid, address: Self::address(), descriptor: self.descriptor(), token: None })
    }

    /// Which of them are no longer as they were, and what they are now.
    fn changed(&self) -> impl Iterator<Item = (usize, String)> {
        let now = self.pids.iter().map(|pid| state(*pid));
        now.zip(&self.before)
            .enumerate()
            .filter(|(_, (now, before))| now != *before)
            .map(|(index, (now, _))| (index, now))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for pid in self.pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// One more; it closes `awake` when all about it is as it stays.
fn sleeper(awake: &io::PipeWriter) -> io::Result<i32> {
    if let Some(child) = fork()? {
        return Ok(child.as_raw_nonzero().get());
    }
    // As a worker is that has no rights beyond its user's.
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    // Where only parents may trace, it lets everybody, as the worst of workers.
    let _ = rustix::process::set_ptracer(PTracer::Any);
    // A group of its own, to be hit as such; and `SIGURG` stays pending, where it can be seen.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::process::setpgid(None, None);
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &words(&[1 << (libc::SIGURG - 1)]), 0, 8);
    let _ = call!(SYS_close, awake.as_raw_fd());
    loop {
        rustix::event::pause();
    }
}

/// What can be done to a process without reading it.
fn state(pid: i32) -> String {
    let read = |name: &str| File::open(format!("/proc/{pid}/{name}")).and_then(io::read_to_string).unwrap_or_default();
    let told = ["State:", "SigPnd:", "ShdPnd:", "Cpus_allowed:", "TracerPid:"];
    let status: Vec<String> =
        read("status").lines().filter(|line| told.iter().any(|key| line.starts_with(key))).map(awake).collect();
    let priorities: Vec<String> = read("stat").split(' ').skip(17).step_by(23).take(2).map(str::to_owned).collect();
    let input = call!(SYS_ioprio_get, 1, pid).unwrap_or(-1);
    format!("{status:?} {priorities:?} {input} {} {}", read("oom_score_adj"), read("limits"))
}

/// Whether it runs or sleeps at this moment is nobody's doing.
fn awake(line: &str) -> String {
    if line.starts_with("State:") && line.contains(['R', 'D']) { "State:\tS (sleeping)".into() } else { line.into() }
}

/// Keeps the canary processes outside until its input ends; then tells which of them were changed.
pub(super) fn keep(facts: &Facts, around: &Path) -> io::Result<()> {
    let processes = Processes::start(around, facts.number("count")?)?;
    let _queues = super::groups::ipc::Queues::make(around);
    let pids: Vec<String> = processes.pids.iter().map(ToString::to_string).collect();
    let mut output = io::stdout().lock();
    writeln!(output, "pids={}", pids.join(","))?;
    writeln!(output, "address={}", Processes::address())?;
    writeln!(output, "descriptor={}", processes.descriptor())?;
    writeln!(output, "ready=")?;
    output.flush()?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    for (index, now) in processes.changed() {
        writeln!(output, "{index}={}", now.replace('\n', " "))?;
    }
    output.flush()
}
