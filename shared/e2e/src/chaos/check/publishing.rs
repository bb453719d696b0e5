//! At most one result per job, and each project's versions one line whose newest tree holds every effect once, in order.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Index;
use crate::chaos::history::Version;

pub(super) fn check(index: &Index<'_>) -> Vec<String> {
    let mut found = Vec::new();
    jobs(index, &mut found);
    let mut lines: BTreeMap<Uuid, Vec<&Version>> = BTreeMap::new();
    for version in &index.history.versions {
        lines.entry(version.project).or_default().push(version);
    }
    for (project, versions) in &mut lines {
        versions.sort_by_key(|version| version.number);
        line(index, *project, versions, &mut found);
    }
    found
}

/// One version and one success a job, the former by the latter.
fn jobs(index: &Index<'_>, found: &mut Vec<String>) {
    let mut made: BTreeMap<Uuid, Vec<&Version>> = BTreeMap::new();
    for version in &index.history.versions {
        if let Some(job) = version.job {
            made.entry(job).or_default().push(version);
        }
    }
    for job in &index.history.jobs {
        let successes = index.attempts_of(job.id).iter().filter(|attempt| attempt.state == "succeeded").count();
        if successes > 1 {
            found.push(format!("{successes} attempts of job {} succeeded", job.id));
        }
        let versions = made.get(&job.id).map_or(&[][..], Vec::as_slice);
        if versions.len() > 1 {
            found.push(format!("job {} made {} versions", job.id, versions.len()));
        }
        for version in versions {
            let by = version.attempt.and_then(|attempt| index.attempts.get(&attempt));
            if by.is_none_or(|by| by.job != job.id || by.state != "succeeded") {
                found
                    .push(format!("version {} of job {} is not by the attempt that succeeded", version.number, job.id));
            }
            if job.read_only || job.state != "succeeded" || job.version != Some(version.number) {
                found.push(format!(
                    "version {} is by job {}, which is {} and names version {:?}",
                    version.number, job.id, job.state, job.version
                ));
            }
        }
    }
}

/// `versions` are in order.
fn line(index: &Index<'_>, project: Uuid, versions: &[&Version], found: &mut Vec<String>) {
    let broken = versions.iter().enumerate().any(|(place, version)| {
        let expected = i32::try_from(place + 1).unwrap_or(i32::MAX);
        version.number != expected || version.parent != expected - 1
    });
    let head = index.history.heads.get(&project).copied().unwrap_or_default();
    if broken || usize::try_from(head).ok() != Some(versions.len()) {
        let numbers: Vec<i32> = versions.iter().map(|version| version.number).collect();
        found.push(format!("the versions of project {project} are no line to its head {head}: {numbers:?}"));
    }
    let ours = |job: &Uuid| index.jobs.get(job).is_some_and(|job| job.ours);
    let expected: Vec<Uuid> = versions.iter().filter_map(|version| version.job).filter(ours).collect();
    let listed = index.history.effects.get(&project).cloned().unwrap_or_default();
    if listed != expected {
        let place = listed.iter().zip(&expected).take_while(|(listed, expected)| listed == expected).count();
        found.push(format!(
            "effects.txt of project {project} has {} jobs, its versions have {}; they differ from place {place}: {:?} \
             instead of {:?}",
            listed.len(),
            expected.len(),
            listed.get(place),
            expected.get(place)
        ));
    }
}
