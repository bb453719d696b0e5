//! One living writer a project, by the agents' own account.
//!
//! An attempt lives from its first line to its last. Two attempts of writing jobs of one project must not live at the same
//! moment, whatever the database believed. There is one excuse: nobody can end an agent whose worker process is itself dead
//! or frozen (kill -9, SIGSTOP), so while the earlier attempt's worker was helpless, and for [`NOTICE`] after it ran again, the
//! earlier attempt may live on; its result is fenced. A worker that is merely cut off has no excuse: it stops its agents before
//! its lease runs out, and nobody takes its attempts before that.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Index;
use crate::chaos::{clock::Millis, history::Helpless};

/// What a worker that runs again has to end agents that are not its own any more: to ask, to say SIGTERM, to wait for the
/// agent's grace (0.5 s in a chaos run), to kill; on a machine that is busy.
pub(crate) const NOTICE: Millis = 2000;

struct Life<'a> {
    attempt: Uuid,
    job: Uuid,
    worker: &'a str,
    from: Millis,
    until: Millis,
}

pub(super) fn check(index: &Index<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (project, mut lives) in lives(index) {
        lives.sort_by_key(|life| life.from);
        for (place, earlier) in lives.iter().enumerate() {
            for later in &lives[place + 1..] {
                let (from, until) = (later.from, earlier.until.min(later.until));
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
    let mut seen: BTreeMap<Uuid, (Millis, Millis)> = BTreeMap::new();
    for line in &index.history.lines {
        let (from, until) = seen.entry(line.attempt).or_insert((line.at, line.at));
        (*from, *until) = ((*from).min(line.at), (*until).max(line.at));
    }
    let mut lives: BTreeMap<Uuid, Vec<Life<'_>>> = BTreeMap::new();
    for attempt in &index.history.attempts {
        let (Some(job), Some((from, until))) = (index.jobs.get(&attempt.job), seen.get(&attempt.id)) else {
            continue;
        };
        if !job.read_only {
            let life = Life { attempt: attempt.id, job: job.id, worker: &attempt.worker, from: *from, until: *until };
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
