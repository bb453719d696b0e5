//! The side inside: tries every attack, each in a process of its own, and says what came of it.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::{
    Attack, Canaries, Outcome, attacks,
    call::{call, fork, leave, words},
    canary::{self, Processes},
    grouped,
    groups::{ipc::Queues, sockets_unix::Listeners},
    report,
    target::{Facts, Process, Side, Target, side_directory},
};

/// How an attack's process ends that came to no answer.
const CRASHED: i32 = 255;

/// What this crate's program does when it is called `probe`: a part of the suite, named by the first argument.
///
/// It is no use to anybody but `suite`, which calls it.
pub fn inside(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let part = args.next().unwrap_or_default();
    let done = match part.to_str() {
        Some("attacks") => every_attack(&Facts::read(args)),
        Some("attack") => one_attack(args),
        Some("keep") => keep(&Facts::read(args)),
        _ => Err(io::Error::other("probe what?")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(facts: &Facts) -> io::Result<()> {
    canary::keep(facts, &side_directory(Path::new(facts.text("base")?), Side::Outside))
}

fn every_attack(facts: &Facts) -> io::Result<()> {
    let around = side_directory(Path::new(facts.text("base")?), Side::Inside);
    rustix::process::chdir(&around)?;
    canary::lay_shared(&around)?;
    let sleepers = grouped().filter(|(group, attack)| group.canaries == Canaries::Process && attack.controlled);
    let (own, _queues) = (Processes::start(&around, sleepers.count())?, Queues::make(&around));
    let _listeners = Listeners::open(&around)?;
    let mut aims = Aims { facts, outside: 0, inside: 0, own };
    let mut output = io::stdout().lock();
    for (group, attack) in grouped() {
        let (outside, control) = aims.at(group.canaries, attack)?;
        let outcome = apart(attack, &outside)?;
        let control = control.map(|inside| apart(attack, &inside)).transpose()?;
        writeln!(output, "{}", report::line(attack, &outcome, control.as_ref()))?;
    }
    output.flush()
}

/// Gives each attack its targets.
struct Aims<'a> {
    facts: &'a Facts,
    /// How many processes of each side are taken.
    outside: usize,
    inside: usize,
    own: Processes,
}

impl Aims<'_> {
    /// One outside, and one inside if it is controlled.
    fn at(&mut self, canaries: Canaries, attack: &'static Attack) -> io::Result<(Target, Option<Target>)> {
        let aim = |side| Target { facts: self.facts.clone(), side, attack: attack.name, process: None };
        let mut outside = aim(Side::Outside);
        let mut inside = attack.controlled.then(|| aim(Side::Inside));
        if canaries == Canaries::Process {
            outside.process = Some(outside_process(self.facts, self.outside)?);
            self.outside += 1;
        }
        match &mut inside {
            Some(inside) if canaries == Canaries::Process => {
                inside.process = self.own.own(self.inside);
                self.inside += 1;
            }
            Some(inside) if canaries == Canaries::Files => canary::lay(&inside.file())?,
            _ => {}
        }
        Ok((outside, inside))
    }
}

fn outside_process(facts: &Facts, index: usize) -> io::Result<Process> {
    let pid = facts.numbers("pids")?.get(index).copied().ok_or_else(|| io::Error::other("too few pids="))?;
    let token = Some(facts.text("token")?.to_string_lossy().into_owned());
    Ok(Process { pid, address: facts.number("address")?, descriptor: facts.number("descriptor")?, token })
}

/// In a process of its own, which has five seconds.
fn apart(attack: &Attack, target: &Target) -> io::Result<Outcome> {
    match fork()? {
        None => {
            let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &words(&[0, 0, 5, 0]), 0);
            leave(answer(attack, target))
        }
        Some(child) => outcome_of(child),
    }
}

fn answer(attack: &Attack, target: &Target) -> i32 {
    match catch_unwind(AssertUnwindSafe(|| (attack.attempt)(target))) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => error.raw_os_error().filter(|error| (1..CRASHED).contains(error)).unwrap_or_else(|| {
            let _ = writeln!(io::stderr(), "{}: {error}", attack.name);
            CRASHED
        }),
        Err(_) => CRASHED,
    }
}

fn outcome_of(child: Pid) -> io::Result<Outcome> {
    let (_, status) = waitpid(Some(child), WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Outcome::Escaped,
        (Some(CRASHED), _) => Outcome::Crashed,
        (Some(error), _) => Outcome::Denied(error),
        (None, Some(libc::SIGALRM)) => Outcome::Late,
        (None, signal) => Outcome::Killed(signal.unwrap_or_default()),
    })
}

/// In this very process, for an attack that executes this program again; it ends with the attack's answer.
fn one_attack(mut args: impl Iterator<Item = OsString>) -> io::Result<()> {
    let name = args.next().unwrap_or_default();
    let attack = attacks().find(|attack| name == attack.name).ok_or_else(|| io::Error::other("no such attack"))?;
    let facts = Facts::read(args);
    let process = facts.text("of").is_ok().then(|| outside_process(&facts, facts.number("of")?)).transpose()?;
    leave(answer(attack, &Target { facts, side: Side::Outside, attack: attack.name, process }))
}
