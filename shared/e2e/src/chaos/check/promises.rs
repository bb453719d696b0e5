//! Accepted means durable, once: every accepted job is over, and where it succeeded its effect is there.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Index;
use crate::chaos::side_log::Event;

/// Accepted jobs, those that are over, and what was lost.
pub(super) fn check(index: &Index<'_>) -> (usize, usize, Vec<String>) {
    let accepted: BTreeSet<Uuid> = index.history.accepted.iter().map(|accepted| accepted.job).collect();
    let mut lost = Vec::new();
    let mut terminal = 0;
    for job in &accepted {
        match index.jobs.get(job) {
            None => lost.push(format!("job {job} was accepted and has no row")),
            Some(row) if !row.is_terminal() => lost.push(format!("job {job} is still {}", row.state)),
            Some(_) => terminal += 1,
        }
    }
    lost.extend(effects(index));
    (accepted.len(), terminal, lost)
}

/// Jobs that succeeded without their effect.
fn effects(index: &Index<'_>) -> Vec<String> {
    let mut effects: BTreeMap<Uuid, usize> = BTreeMap::new();
    for line in index.history.lines.iter().filter(|line| line.event == Event::Effect) {
        *effects.entry(line.attempt).or_default() += 1;
    }
    let published: BTreeSet<Uuid> = index.history.versions.iter().filter_map(|version| version.job).collect();
    let mut lost = Vec::new();
    for job in index.history.jobs.iter().filter(|job| job.ours && job.state == "succeeded") {
        let succeeded = index.attempts_of(job.id).iter().find(|attempt| attempt.state == "succeeded");
        match succeeded {
            None => lost.push(format!("job {} succeeded without an attempt that did", job.id)),
            Some(attempt) if !effects.contains_key(&attempt.id) => {
                lost.push(format!(
                    "attempt {} of job {} succeeded, but its agent never did its work",
                    attempt.id, job.id
                ));
            }
            Some(_) => {}
        }
        if !job.read_only && !published.contains(&job.id) {
            lost.push(format!("job {} succeeded, but made no version", job.id));
        }
    }
    lost
}
