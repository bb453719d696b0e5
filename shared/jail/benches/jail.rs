//! What walls cost: an agent's start in each of them beside the same start without, and the end of a big tree.
//!
//! `make bench-jail`. Each round starts `/bin/true` once in every way, so that what else the machine does hits all alike; figures are
//! medians, and the cost of a level is the median of the differences within a round. Exit code 1: a bar is not met.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use drydock_domain::Isolation;
use drydock_jail::{Ended, Network, Order, Policy, Started};

const HELPER: &str = env!("CARGO_BIN_EXE_drydock-jail");
const ROUNDS: usize = 200;
const TREE: usize = 1000;
/// A level, the most that it may add to a start, and the most that the end of [`TREE`] processes may take.
const LEVELS: [(Isolation, Option<Duration>, Duration); 3] = [
    (Isolation::LandlockWeak, None, Duration::from_secs(1)),
    (Isolation::Landlock, Some(Duration::from_millis(2)), Duration::from_secs(1)),
    (Isolation::Namespace, Some(Duration::from_millis(5)), Duration::from_secs(1)),
];

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> io::Result<Self> {
        let place = tempfile::tempdir()?;
        for name in ["workspace", "home", "tmp"] {
            fs_err::create_dir(place.path().join(name))?;
        }
        Ok(Self(place))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts a program as the worker does.
    fn start(&self, level: Isolation, line: &[&str]) -> io::Result<(Child, UnixStream)> {
        let policy = Policy {
            level,
            workspace: self.at("workspace"),
            write: vec![self.at("home"), self.at("tmp")],
            read: Vec::new(),
            network: Network::Closed,
            open_files: None,
            processes: None,
            file_bytes: None,
        };
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(HELPER);
        command.arg("run").args(policy.to_args()).args(line).stdin(OwnedFd::from(theirs)).stdout(Stdio::piped());
        Ok((command.spawn()?, ours))
    }
}

fn line(socket: &mut BufReader<&UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    socket.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn in_jail(place: &Place, level: Isolation) -> io::Result<Duration> {
    let began = Instant::now();
    let (mut child, socket) = place.start(level, &["/bin/true", "true"])?;
    let mut said = BufReader::new(&socket);
    let started: Started = line(&mut said)?.parse().map_err(io::Error::other)?;
    let ended: Ended = line(&mut said)?.parse().map_err(io::Error::other)?;
    child.wait()?;
    let took = began.elapsed();
    let is_well = matches!((&started, ended), (Started::Running { .. }, Ended::Exited { code: 0, killed: 0 }));
    if is_well { Ok(took) } else { Err(io::Error::other(format!("{level}: {started}, {ended}"))) }
}

fn without() -> io::Result<Duration> {
    let began = Instant::now();
    Command::new("/bin/true").stdin(Stdio::null()).stdout(Stdio::piped()).status()?;
    Ok(began.elapsed())
}

fn end_of_tree(place: &Place, level: Isolation) -> io::Result<Duration> {
    let script = format!("i=0; while [ $i -lt {TREE} ]; do setsid sleep 300 & i=$((i+1)); done; echo up; wait");
    let (mut child, socket) = place.start(level, &["/bin/sh", "sh", "-c", &script])?;
    let mut output = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
    output.read_line(&mut String::new())?;
    let began = Instant::now();
    (&socket).write_all(&[Order::Kill.letter()])?;
    child.wait()?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn tell(out: &mut impl io::Write, what: &str, took: Duration, bar: Option<Duration>) -> io::Result<bool> {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let is_met = bar.is_none_or(|bar| took <= bar);
    let verdict = match bar {
        None => String::new(),
        Some(bar) => format!("  bar {:.0} ms  {}", ms(bar), if is_met { "met" } else { "MISSED" }),
    };
    writeln!(out, "{what:44} {:8.2} ms{verdict}", ms(took))?;
    Ok(is_met)
}

fn measure(out: &mut impl io::Write) -> io::Result<bool> {
    let place = Place::new()?;
    let mut plain = Vec::new();
    let mut added: [Vec<Duration>; LEVELS.len()] = Default::default();
    for _ in 0..ROUNDS {
        let base = without()?;
        plain.push(base);
        for (times, (level, ..)) in added.iter_mut().zip(LEVELS) {
            times.push(in_jail(&place, level)?.saturating_sub(base));
        }
    }
    let mut is_met = tell(out, "start and end of /bin/true without walls", median(plain), None)?;
    for (times, (level, bar, _)) in added.into_iter().zip(LEVELS) {
        is_met &= tell(out, &format!("{level} adds"), median(times), bar)?;
    }
    for (level, _, bar) in LEVELS {
        is_met &= tell(out, &format!("{level}: end of {TREE} sessions"), end_of_tree(&place, level)?, Some(bar))?;
    }
    Ok(is_met)
}

fn main() -> ExitCode {
    match measure(&mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}
