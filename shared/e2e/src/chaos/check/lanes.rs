//! One living writer a project, by the agents' own account.
//!
//! An attempt lives from its first line to its last. Two attempts of writing jobs of one project must not live at the same
//! moment, whatever the database believed. There is one excuse: nobody can end an agent whose worker process is itself dead
//! or frozen (kill -9, SIGSTOP), so while the earlier attempt's worker was helpless, and for [`NOTICE`] after it ran again, the
//! earlier attempt may live on; its result is fenced. A worker that is merely cut off has no excuse: it stops its agents before
//! its lease runs out, and nobody takes its attempts before that.
//!
//! An agent that is silent for longer than [`SILENCE`] was stopped, and does nothing until it is seen again. When its worker is killed
//! meanwhile the kernel lets it go on (POSIX, `_exit`: SIGHUP and SIGCONT to a stopped process group that is orphaned): that moment
//! is one of a dead worker.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Index;
use crate::chaos::{clock::Millis, history::Helpless};

/// What a worker that runs again has to end agents that are not its own any more: to ask, to say SIGTERM, to wait for the
/// agent's grace (0.5 s in a chaos run), to kill; on a machine that is busy.
pub(crate) const NOTICE: Millis = 2000;
/// Ten times what an agent is silent for while it runs.
pub(crate) const SILENCE: Millis = 1000;

struct Life<'a> {
    attempt: Uuid,
    job: Uuid,
    worker: &'a str,
    from: Millis,
    until: Millis,
    /// When it wrote a line, in order.
    seen: Vec<Millis>,
}

impl Life<'_> {
    /// The first moment at or after `at` at which it was not stopped, as far as it shows.
    fn runs_from(&self, at: Millis) -> Millis {
        let next = self.seen.partition_point(|seen| *seen < at);
        match (next.checked_sub(1).map(|before| self.seen[before]), self.seen.get(next)) {
            (Some(before), Some(next)) if next - before > SILENCE => *next,
            _ => at,
        }
    }
}

pub(super) fn check(index: &Index<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (project, mut lives) in lives(index) {
        lives.sort_by_key(|life| life.from);
        for (place, earlier) in lives.iter().enumerate() {
            for later in &lives[place + 1..] {
                let (from, until) = (earlier.runs_from(later.from), earlier.until.min(later.until));
                let excuses = index.history.helpless.iter().filter(|excuse| excuse.worker == earlier.worker);
                if let Some(at) = uncovered(from, until, excuses) {
                    found.push(format!(
                        "project {project}: attempt {} of job {} on {} and attempt {} of job {} on {} both lived at {at} ms \
                         ({from} to {until} in all)",
                        earlier.attempt, earlier.job, earlier.worker, later.attempt, later.job, later.worker
                    ));
                }
            }
        }
    }
    found
}

/// Each project's writing attempts, as the side log saw them.
fn lives<'a>(index: &Index<'a>) -> BTreeMap<Uuid, Vec<Life<'a>>> {
    let mut seen: BTreeMap<Uuid, Vec<Millis>> = BTreeMap::new();
    for line in &index.history.lines {
        seen.entry(line.attempt).or_default().push(line.at);
    }
    let mut lives: BTreeMap<Uuid, Vec<Life<'_>>> = BTreeMap::new();
    for attempt in &index.history.attempts {
        let (Some(job), Some(mut seen)) = (index.jobs.get(&attempt.job), seen.remove(&attempt.id)) else {
            continue;
        };
        seen.sort_unstable();
        if let ([from, ..], [.., until], false) = (&seen[..], &seen[..], job.read_only) {
            let (from, until) = (*from, *until);
            let life = Life { attempt: attempt.id, job: job.id, worker: &attempt.worker, from, until, seen };
            lives.entry(job.project).or_default().push(life);
        }
    }
    lives
}

/// The first moment between `from` and `until`, both included, that no excuse covers.
fn uncovered<'a>(from: Millis, until: Millis, excuses: impl Iterator<Item = &'a Helpless>) -> Option<Millis> {
    let mut excuses: Vec<_> = excuses.map(|excuse| (excuse.from, excuse.until + NOTICE)).collect();
    excuses.sort_unstable();
    let mut at = from;
    for (begin, end) in excuses {
        if begin <= at {
            at = at.max(end + 1);
        }
    }
    (at <= until).then_some(at)
}
