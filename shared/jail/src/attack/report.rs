//! What came of the attacks, and where that is not as the table says.

use std::{fmt, io, time::Duration};

use drydock_domain::Isolation;

use super::{Attack, Expected, attacks};
use crate::Network;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached what it was after.
    Escaped,
    /// The call failed by this error.
    Denied(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// It did not come back in time.
    Late,
    /// It came to no answer of its own.
    Crashed,
}

impl Outcome {
    /// Whether the thing it was after is untouched, as far as the attack itself knows.
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Killed(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escaped => write!(f, "escaped"),
            Self::Denied(error) => write!(f, "denied ({})", io::Error::from_raw_os_error(*error)),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Late => write!(f, "did not come back"),
            Self::Crashed => write!(f, "crashed"),
        }
    }
}

/// One attack and what came of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The attack.
    pub attack: &'static Attack,
    /// What came of it, by its own word.
    pub outcome: Outcome,
    /// What came of the same call on a thing inside, where that has to succeed.
    pub control: Option<Outcome>,
    /// What became of its canary outside, if it is not as it was.
    pub evidence: Option<String>,
}

impl Case {
    /// Whether it reached what is outside: by its own word or by what is seen there.
    pub fn escaped(&self) -> bool {
        self.outcome == Outcome::Escaped || self.evidence.is_some()
    }

    fn deviation(&self, level: Isolation, network: &Network) -> Option<String> {
        let Attack { name, .. } = self.attack;
        let seen = || {
            self.evidence.as_ref().map_or_else(|| self.outcome.to_string(), |now| format!("{} -> {now}", self.outcome))
        };
        match (self.attack.expected(level, network), self.escaped()) {
            (Expected::Denied, true) => Some(format!("{name}: not stopped: {}", seen())),
            (Expected::Allowed(reason), false) => Some(format!("{name}: stopped although {reason}: {}", seen())),
            _ if !self.escaped() && !self.outcome.is_denied() => Some(format!("{name}: {}", seen())),
            _ => self.failed_control(),
        }
    }

    fn failed_control(&self) -> Option<String> {
        // What the machine does not have needs no control.
        let fine = [Outcome::Escaped, Outcome::Denied(libc::ENOSYS), Outcome::Denied(libc::EOPNOTSUPP)];
        let control = self.control.as_ref().filter(|control| !fine.contains(control))?;
        Some(format!("{}: its control, the same call on a thing inside, failed: {control}", self.attack.name))
    }
}

/// One run of every attack.
#[derive(Clone, Debug)]
pub struct Report {
    /// The level it ran at.
    pub level: Isolation,
    /// To whom the jail was open.
    pub network: Network,
    /// One for each attack, in order.
    pub cases: Vec<Case>,
    /// What happened outside and is no attack's doing.
    pub strays: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Everything that is not as the table says, either way, a line each.
    pub fn deviations(&self) -> Vec<String> {
        let strays = self.strays.iter().map(|stray| format!("nobody's doing: {stray}"));
        self.cases.iter().filter_map(|case| case.deviation(self.level, &self.network)).chain(strays).collect()
    }

    /// The deviations that make the level less than it claims: what a worker must not offer. A residual that a newer
    /// kernel stops is none of them.
    pub fn holes(&self) -> Vec<String> {
        let weaker = |case: &&Case| case.escaped() || !case.outcome.is_denied() || case.failed_control().is_some();
        let strays = self.strays.iter().map(|stray| format!("nobody's doing: {stray}"));
        self.cases
            .iter()
            .filter(weaker)
            .filter_map(|case| case.deviation(self.level, &self.network))
            .chain(strays)
            .collect()
    }
}

/// One line of the side inside: `name outcome control`.
pub(super) fn line(attack: &Attack, outcome: &Outcome, control: Option<&Outcome>) -> String {
    format!("{} {} {}", attack.name, word(Some(outcome)), word(control))
}

fn word(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "none".into(),
        Some(Outcome::Escaped) => "escaped".into(),
        Some(Outcome::Denied(error)) => format!("errno={error}"),
        Some(Outcome::Killed(signal)) => format!("signal={signal}"),
        Some(Outcome::Late) => "late".into(),
        Some(Outcome::Crashed) => "crashed".into(),
    }
}

fn outcome(word: &str) -> Option<Outcome> {
    match word.split_once('=') {
        None if word == "escaped" => Some(Outcome::Escaped),
        None if word == "late" => Some(Outcome::Late),
        None if word == "crashed" => Some(Outcome::Crashed),
        Some(("errno", error)) => error.parse().ok().map(Outcome::Denied),
        Some(("signal", signal)) => signal.parse().ok().map(Outcome::Killed),
        _ => None,
    }
}

/// What the side inside said: one line for each attack, in order. Anything else is no report.
pub(super) fn cases(said: &str) -> Option<Vec<Case>> {
    let mut lines = said.lines();
    let cases = attacks().map(|attack| {
        let mut words = lines.next()?.split(' ');
        (words.next()? == attack.name).then_some(())?;
        let outcome = outcome(words.next()?)?;
        let control = attack.controlled.then(|| words.next().and_then(self::outcome)).map(|control| control.ok_or(()));
        Some(Case { attack, outcome, control: control.transpose().ok()?, evidence: None })
    });
    cases.collect()
}
