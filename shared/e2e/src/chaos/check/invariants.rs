//! What no reader may ever see, whatever went wrong around it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Index;

pub(super) fn check(index: &Index<'_>) -> Vec<String> {
    let mut found = Vec::new();
    keys(index, &mut found);
    sightings(index, &mut found);
    cancellations(index, &mut found);
    attempts(index, &mut found);
    projects(index, &mut found);
    found
}

/// One job a key, and no job that nobody was told of.
fn keys(index: &Index<'_>, found: &mut Vec<String>) {
    let mut told: BTreeMap<&str, BTreeSet<Uuid>> = BTreeMap::new();
    for accepted in &index.history.accepted {
        told.entry(&accepted.key).or_default().insert(accepted.job);
    }
    for (key, jobs) in told.iter().filter(|(_, jobs)| jobs.len() > 1) {
        found.push(format!("key {key} was accepted as {jobs:?}"));
    }
    let known: BTreeSet<Uuid> = told.into_values().flatten().collect();
    for job in index.history.jobs.iter().filter(|job| !known.contains(&job.id)) {
        found.push(format!("job {} is there, and no client was told of it", job.id));
    }
}

/// An end, once seen, is the end.
fn sightings(index: &Index<'_>, found: &mut Vec<String>) {
    for sighting in &index.history.sightings {
        let Some(job) = index.jobs.get(&sighting.job) else { continue };
        let status = match job.state.as_str() {
            "succeeded" => "completed",
            "failed" | "dead" => "error",
            "canceled" => "cancelled",
            other => other,
        };
        if status != sighting.status {
            found.push(format!("job {} was seen {} and is {status} now", job.id, sighting.status));
        }
    }
}

/// A cancellation that was accepted wins.
fn cancellations(index: &Index<'_>, found: &mut Vec<String>) {
    let jobs = index.history.canceled.iter().filter_map(|job| index.jobs.get(job));
    for job in jobs.filter(|job| job.is_terminal() && job.state != "canceled") {
        found.push(format!("the cancellation of job {} was accepted, and it is {}", job.id, job.state));
    }
}

fn attempts(index: &Index<'_>, found: &mut Vec<String>) {
    for job in &index.history.jobs {
        let attempts = index.attempts_of(job.id);
        let running = attempts.iter().filter(|attempt| attempt.state == "running").count();
        if running > usize::from(job.state == "running") {
            found.push(format!("job {} is {} and has {running} running attempts", job.id, job.state));
        }
        let mut ordered: Vec<_> = attempts.iter().collect();
        ordered.sort_by_key(|attempt| attempt.number);
        for pair in ordered.windows(2) {
            if pair[0].finished.is_none_or(|finished| finished > pair[1].started) {
                found.push(format!(
                    "attempt {} of job {} was claimed before attempt {} was closed",
                    pair[1].number, job.id, pair[0].number
                ));
            }
        }
    }
}

/// One head a lane, and none stalled.
fn projects(index: &Index<'_>, found: &mut Vec<String>) {
    let mut lanes: BTreeMap<Uuid, (usize, usize, usize)> = BTreeMap::new();
    for job in &index.history.jobs {
        let (heads, active, waiting) = lanes.entry(job.project).or_default();
        *heads += usize::from(job.is_active() && !job.read_only);
        *active += usize::from(job.is_active());
        *waiting += usize::from(job.state == "pending");
    }
    for (project, (heads, active, waiting)) in lanes {
        if heads > 1 {
            found.push(format!("{heads} jobs hold the lane of project {project}"));
        }
        if waiting > 0 && active == 0 {
            found.push(format!("{waiting} jobs of project {project} wait for nobody"));
        }
    }
}
