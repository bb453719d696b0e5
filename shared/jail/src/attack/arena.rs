//! The side outside: everything an attack may reach for, and what became of it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::DirBuilder,
    io::{self, BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Canaries, Case, canary, grouped,
    groups::sockets_unix::Listeners,
    target::{Facts, Side, identity, namespace_of_pids, side_directory},
};

/// Under which name the inside is told of the port it may connect to, where it may connect to any.
const ALLOWED: &str = "tcp-allowed";

/// Canaries of every kind. Nothing of it is left when it is dropped.
pub(super) struct Arena {
    facts: Facts,
    /// By attack: its files as they were.
    before: BTreeMap<String, Vec<String>>,
    keeper: Keeper,
    unix: Listeners,
    tcp: [TcpListener; 3],
    udp: [UdpSocket; 2],
    base: TempDir,
}

/// The process that keeps the canary processes.
struct Keeper {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Arena {
    pub(super) fn new(helper: &Path) -> io::Result<Self> {
        let base = TempDir::new()?;
        for name in ["outside", "inside", "inside/work"] {
            DirBuilder::new().mode(0o755).create(base.path().join(name))?;
        }
        let around = side_directory(base.path(), Side::Outside);
        canary::lay_shared(&around)?;
        super::groups::privileges::lay(&side_directory(base.path(), Side::Inside))?;
        for (_, attack) in grouped().filter(|(group, _)| group.canaries == Canaries::Files) {
            canary::lay(&around.join(format!("{}.file", attack.name)))?;
        }
        let unix = Listeners::open(&around)?;
        let before = canary::snapshot(&around)?;
        let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let tcp = [TcpListener::bind((v4, 0))?, TcpListener::bind((v6, 0))?, TcpListener::bind((v4, 0))?];
        let udp = [UdpSocket::bind((v4, 0))?, UdpSocket::bind((v6, 0))?];
        tcp.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        udp.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        let mut facts = facts(base.path())?;
        for (key, listener) in ["tcp", "tcp6", ALLOWED].into_iter().zip(&tcp) {
            facts.put(key, listener.local_addr()?.port().to_string());
        }
        for (key, socket) in ["udp", "udp6"].into_iter().zip(&udp) {
            facts.put(key, socket.local_addr()?.port().to_string());
        }
        let keeper = Keeper::start(helper, &mut facts)?;
        Ok(Self { facts, before, keeper, unix, tcp, udp, base })
    }

    pub(super) fn base(&self) -> &Path {
        self.base.path()
    }

    /// The one port that a network open to ports is open to.
    pub(super) fn allowed_port(&self) -> io::Result<u16> {
        self.facts.number(ALLOWED)
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = OsString> {
        self.facts.to_args()
    }

    /// Looks what became of the canaries: tells each case, and answers what fits none.
    pub(super) fn judge(mut self, cases: &mut [Case]) -> io::Result<Vec<String>> {
        let changed = self.keeper.stop()?;
        let arrived = self.arrived();
        let of_processes = grouped().filter(|(group, _)| group.canaries == Canaries::Process);
        let mut evidence: BTreeMap<String, String> = of_processes
            .enumerate()
            .filter_map(|(index, (_, attack))| Some((attack.name.to_owned(), changed.get(&index)?.clone())))
            .collect();
        evidence.extend(changes(&self.before, &canary::snapshot(&side_directory(self.base.path(), Side::Outside))?));
        evidence.extend(arrived.into_iter().map(|mark| (mark, "its message arrived".into())));
        cases.iter_mut().for_each(|case| case.evidence = evidence.remove(case.attack.name));
        Ok(evidence.into_iter().map(|(name, what)| format!("{name}: {what}")).collect())
    }

    /// What the listeners got: each message names its attack.
    fn arrived(&self) -> Vec<String> {
        let mut marks = self.unix.arrived();
        for listener in &self.tcp {
            marks.extend(std::iter::from_fn(|| listener.accept().ok()).map(|(connection, _)| mark(&connection)));
        }
        for socket in &self.udp {
            let mut buffer = [0; 128];
            while let Ok(length) = socket.recv(&mut buffer) {
                marks.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        }
        marks
    }
}

/// What `connection` brought until its end; its other end is gone by now.
pub(super) fn mark(mut connection: impl io::Read) -> String {
    let mut buffer = [0; 128];
    let length = connection.read(&mut buffer).unwrap_or_default();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// By attack, what is not as it was.
fn changes(before: &BTreeMap<String, Vec<String>>, now: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    let names = before.keys().chain(now.keys());
    let lines = |of: &BTreeMap<String, Vec<String>>, name: &str| of.get(name).cloned().unwrap_or_default();
    let changed = names.filter_map(|name| {
        let (before, now) = (lines(before, name), lines(now, name));
        let new = now.iter().find(|line| !before.contains(line));
        let gone = before.iter().find(|line| !now.contains(line)).map(|line| format!("gone: {line}"));
        Some((name.clone(), new.cloned().or(gone)?))
    });
    changed.collect()
}

fn facts(base: &Path) -> io::Result<Facts> {
    let mut facts = Facts::default();
    facts.put("base", base);
    facts.put("token", format!("canaries of {}", base.display()));
    facts.put("worker", std::process::id().to_string());
    facts.put("session", super::groups::tty::session()?.to_string());
    facts.put("pids-of", namespace_of_pids());
    facts.put("network-of", super::groups::network::namespace_of_network());
    for (key, path) in [("tmp", "/tmp"), ("shm", "/dev/shm"), ("output", "/proc/self/fd/1")] {
        facts.put(key, identity(Path::new(path)).unwrap_or_default());
    }
    Ok(facts)
}

impl Keeper {
    /// Starts it, and reads where its processes are.
    fn start(helper: &Path, facts: &mut Facts) -> io::Result<Self> {
        let count = grouped().filter(|(group, _)| group.canaries == Canaries::Process).count();
        let (base, token) = (facts.text("base")?.to_owned(), facts.text("token")?.to_owned());
        let mut asks = Facts::default();
        asks.put("base", &base);
        asks.put("count", count.to_string());
        // The token ends its command line, by which its processes are told from others inside.
        let mut command = Command::new(helper);
        command.args(["probe", "keep"]).args(asks.to_args()).arg(token);
        command.env_clear().env("DRYDOCK_CANARY", "secret").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.current_dir(&base).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        loop {
            let mut line = String::new();
            output.read_line(&mut line)?;
            match line.trim_end().split_once('=') {
                Some(("ready", _)) => return Ok(Self { child, output }),
                Some((key, value)) => facts.put(key, value),
                None => return Err(io::Error::other("the canary processes did not start")),
            }
        }
    }

    /// Ends it: by index, what was done to its processes.
    fn stop(&mut self) -> io::Result<BTreeMap<usize, String>> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter_map(|(index, now)| Some((index.parse().ok()?, now.into())))
            .collect())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
