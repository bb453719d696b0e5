//! The checker: a pure function over the history. Each promise is a file; each finding says which job or project to look at.

mod invariants;
mod lanes;
mod promises;
mod publishing;
mod strays;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::history::{Attempt, History, Job};

/// What is wrong with a run, by promise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Jobs that the API accepted.
    pub(crate) accepted: usize,
    /// Those of them that are over.
    pub(crate) terminal: usize,
    /// Accepted, and gone, not over, or over without their effect.
    pub(crate) lost: Vec<String>,
    /// Effects that are there more than once, or that belong to nobody who succeeded.
    pub(crate) published_twice: Vec<String>,
    /// Two writers of one project alive at once.
    pub(crate) lane_violations: Vec<String>,
    /// Processes that outlived their attempt.
    pub(crate) strays: Vec<String>,
    /// Anything else that must never be seen.
    pub(crate) broken_invariants: Vec<String>,
}

impl Findings {
    /// Nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        let all = [&self.lost, &self.published_twice, &self.lane_violations, &self.strays, &self.broken_invariants];
        self.accepted == self.terminal && all.iter().all(|found| found.is_empty())
    }

    /// Every finding, one a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let named = |name: &'static str, found: &[String]| {
            found.iter().map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        };
        [
            named("lost", &self.lost),
            named("published twice", &self.published_twice),
            named("lane violation", &self.lane_violations),
            named("stray process", &self.strays),
            named("broken invariant", &self.broken_invariants),
        ]
        .concat()
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "accepted {}, terminal {}, lost {}, published twice {}, lane violations {}, stray processes {}",
            self.accepted,
            self.terminal,
            self.lost.len(),
            self.published_twice.len(),
            self.lane_violations.len(),
            self.strays.len()
        )?;
        if self.broken_invariants.is_empty() {
            Ok(())
        } else {
            write!(f, ", broken invariants {}", self.broken_invariants.len())
        }
    }
}

/// Holds a run against every promise.
pub(crate) fn check(history: &History) -> Findings {
    let index = Index::new(history);
    let (accepted, terminal, lost) = promises::check(&index);
    Findings {
        accepted,
        terminal,
        lost,
        published_twice: publishing::check(&index),
        lane_violations: lanes::check(&index),
        strays: strays::check(&index),
        broken_invariants: invariants::check(&index),
    }
}

/// The history by id.
struct Index<'a> {
    history: &'a History,
    jobs: BTreeMap<Uuid, &'a Job>,
    attempts: BTreeMap<Uuid, &'a Attempt>,
    attempts_of: BTreeMap<Uuid, Vec<&'a Attempt>>,
}

impl<'a> Index<'a> {
    fn new(history: &'a History) -> Self {
        let mut attempts_of: BTreeMap<Uuid, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &history.attempts {
            attempts_of.entry(attempt.job).or_default().push(attempt);
        }
        Self {
            history,
            jobs: history.jobs.iter().map(|job| (job.id, job)).collect(),
            attempts: history.attempts.iter().map(|attempt| (attempt.id, attempt)).collect(),
            attempts_of,
        }
    }

    fn attempts_of(&self, job: Uuid) -> &[&'a Attempt] {
        self.attempts_of.get(&job).map_or(&[], Vec::as_slice)
    }
}
