//! The checker is able to fail: each kind of bad history is reported, and a good one is not.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Findings, check, lanes::NOTICE};
use crate::chaos::{
    history::{Accepted, Attempt, Helpless, History, Job, Sighting, Survivor, Version},
    side_log::{Event, Line},
};

const PROJECT: Uuid = Uuid::from_u128(1);

fn job_id(n: u128) -> Uuid {
    Uuid::from_u128(100 + n)
}

fn attempt_id(n: u128, number: i16) -> Uuid {
    Uuid::from_u128(1000 * (n + 1) + u128::from(number.unsigned_abs()))
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn line(n: u128, number: i16, event: Event, at: u64) -> Line {
    Line { job: job_id(n), attempt: attempt_id(n, number), number, event, at, pid: 7 }
}

fn attempt(n: u128, number: i16, worker: &str, state: &str, second: i64) -> Attempt {
    let id = attempt_id(n, number);
    let (started, finished) = (at(second), (state != "running").then(|| at(second + 1)));
    Attempt { id, job: job_id(n), number, worker: worker.to_owned(), state: state.to_owned(), started, finished }
}

/// Two writers, one after the other; the second lost its first attempt to a worker that was killed at 3000 ms.
fn good() -> History {
    let job = |n: u128| Job {
        id: job_id(n),
        project: PROJECT,
        ours: true,
        read_only: false,
        state: "succeeded".to_owned(),
        version: Some(i32::try_from(n).unwrap() + 2),
    };
    let version = |number: i32, made: Option<(u128, i16)>| Version {
        project: PROJECT,
        number,
        parent: number - 1,
        job: made.map(|(n, _)| job_id(n)),
        attempt: made.map(|(n, number)| attempt_id(n, number)),
    };
    History {
        accepted: vec![
            Accepted { key: "a".into(), job: job_id(0) },
            Accepted { key: "b".into(), job: job_id(1) },
            Accepted { key: "b".into(), job: job_id(1) },
        ],
        canceled: Vec::new(),
        sightings: vec![Sighting { job: job_id(0), status: "completed".into() }],
        lines: vec![
            line(0, 1, Event::Start, 1000),
            line(0, 1, Event::Effect, 1500),
            line(1, 1, Event::Start, 2000),
            line(1, 1, Event::Beat, 4200),
            line(1, 1, Event::Beat, 5000),
            line(1, 2, Event::Start, 4500),
            line(1, 2, Event::Effect, 5500),
        ],
        jobs: vec![job(0), job(1)],
        attempts: vec![
            attempt(0, 1, "worker-1", "succeeded", 1),
            attempt(1, 1, "worker-1", "lost", 2),
            attempt(1, 2, "worker-2", "succeeded", 4),
        ],
        versions: vec![version(1, None), version(2, Some((0, 1))), version(3, Some((1, 2)))],
        heads: [(PROJECT, 3)].into(),
        effects: [(PROJECT, vec![job_id(0), job_id(1)])].into(),
        helpless: vec![Helpless { worker: "worker-1".into(), killed: true, from: 3000, until: 5000 }],
        survivors: Vec::new(),
    }
}

fn spoilt(spoil: impl FnOnce(&mut History)) -> Findings {
    let mut history = good();
    spoil(&mut history);
    let findings = check(&history);
    assert!(!findings.is_clean(), "{findings}");
    findings
}

#[test]
fn a_good_history_is_clean() {
    let findings = check(&good());
    assert_eq!(findings.lines(), Vec::<String>::new());
    assert!(findings.is_clean());
    assert_eq!(
        findings.to_string(),
        "accepted 2, terminal 2, lost 0, published twice 0, lane violations 0, stray processes 0"
    );
}

#[test]
fn lost_jobs_and_lost_effects_are_reported() {
    let gone = spoilt(|history| history.jobs.truncate(1));
    assert!(gone.lost.iter().any(|line| line.contains("has no row")), "{gone:?}");
    assert_eq!((gone.accepted, gone.terminal), (2, 1));
    for state in ["queued", "running", "dispatched", "pending", "scheduled"] {
        let stuck = spoilt(|history| history.jobs[1].state = state.to_owned());
        assert!(stuck.lost.iter().any(|line| line.contains(&format!("is still {state}"))), "{stuck:?}");
    }
    let unpublished = spoilt(|history| {
        history.versions.pop();
        history.heads.insert(PROJECT, 2);
        history.effects.insert(PROJECT, vec![job_id(0)]);
    });
    assert!(unpublished.lost.iter().any(|line| line.contains("made no version")), "{unpublished:?}");
    let idle = spoilt(|history| history.lines.truncate(6));
    assert!(idle.lost.iter().any(|line| line.contains("never did its work")), "{idle:?}");
    let nobody = spoilt(|history| history.attempts[2].state = "failed".into());
    assert!(nobody.lost.iter().any(|line| line.contains("without an attempt that did")), "{nobody:?}");
}

#[test]
fn double_publication_is_reported() {
    let two = spoilt(|history| {
        history.versions.push(Version {
            project: PROJECT,
            number: 4,
            parent: 3,
            job: Some(job_id(1)),
            attempt: Some(attempt_id(1, 1)),
        });
        history.heads.insert(PROJECT, 4);
        history.effects.insert(PROJECT, vec![job_id(0), job_id(1), job_id(1)]);
    });
    assert!(two.published_twice.iter().any(|line| line.contains("made 2 versions")), "{two:?}");
    assert!(two.published_twice.iter().any(|line| line.contains("not by the attempt that succeeded")), "{two:?}");
    let successes = spoilt(|history| history.attempts[1].state = "succeeded".into());
    assert!(successes.published_twice.iter().any(|line| line.contains("2 attempts")), "{successes:?}");
    let zombie = spoilt(|history| history.versions[2].attempt = Some(attempt_id(1, 1)));
    assert!(zombie.published_twice.iter().any(|line| line.contains("not by the attempt")), "{zombie:?}");
    let failed = spoilt(|history| history.jobs[1].state = "failed".into());
    assert!(failed.published_twice.iter().any(|line| line.contains("which is failed")), "{failed:?}");
}

#[test]
fn files_that_do_not_follow_the_versions_are_reported() {
    for effects in [vec![], vec![1, 0], vec![0, 1, 1], vec![0]] {
        let wrong = spoilt(|history| {
            history.effects.insert(PROJECT, effects.into_iter().map(job_id).collect());
        });
        assert!(wrong.published_twice[0].contains("effects.txt"), "{wrong:?}");
    }
    let forked = spoilt(|history| history.versions[2].parent = 1);
    assert!(forked.published_twice[0].contains("no line"), "{forked:?}");
    let behind = spoilt(|history| history.heads = [(PROJECT, 2)].into());
    assert!(behind.published_twice[0].contains("no line"), "{behind:?}");
}

#[test]
fn two_living_writers_are_reported_unless_the_first_ones_worker_was_helpless() {
    let cut_off = spoilt(|history| history.helpless.clear());
    assert_eq!(cut_off.lane_violations.len(), 1, "{cut_off:?}");
    assert!(cut_off.lane_violations[0].contains("lived at 4500 ms"), "{cut_off:?}");
    let of_another = spoilt(|history| history.helpless[0].worker = "worker-2".into());
    assert_eq!(of_another.lane_violations.len(), 1, "{of_another:?}");
    let too_late = spoilt(|history| history.helpless[0].from = 4501);
    assert_eq!(too_late.lane_violations.len(), 1, "{too_late:?}");
    let not_ended = spoilt(|history| {
        history.helpless[0].until = 4600;
        history.lines[4].at = 4600 + NOTICE + 1;
        history.lines[6].at = 4600 + NOTICE + 1;
        history.lines.extend((4700..4600 + NOTICE).step_by(500).map(|at| line(1, 1, Event::Beat, at)));
    });
    assert_eq!(not_ended.lane_violations.len(), 1, "{not_ended:?}");
    let other_job = spoilt(|history| history.lines[2].at = 1400);
    assert_eq!(other_job.lane_violations.len(), 1, "{other_job:?}");
    let mut reader = good();
    reader.helpless.clear();
    reader.jobs[1].read_only = true;
    assert_eq!(check(&reader).lane_violations, Vec::<String>::new());
}

#[test]
fn a_stopped_agent_that_the_kernel_lets_go_on_is_one_of_a_dead_worker() {
    let frozen = |killed_at: Option<u64>| {
        let mut history = good();
        history.lines.retain(|line| line.at != 4200);
        let helpless = |from| Helpless { worker: "worker-1".into(), killed: true, from, until: 5500 };
        history.helpless = killed_at.map(helpless).into_iter().collect();
        check(&history)
    };
    assert_eq!(frozen(Some(4990)).lane_violations, Vec::<String>::new());
    for findings in [frozen(None), frozen(Some(5001))] {
        assert!(findings.lane_violations[0].contains("lived at 5000 ms"), "{findings:?}");
    }
}

#[test]
fn strays_are_reported() {
    let stray = spoilt(|history| history.survivors.push(Survivor { pid: 4711, attempt: attempt_id(1, 1) }));
    assert_eq!(stray.strays, [format!("process 4711 of attempt {} on worker-1", attempt_id(1, 1))]);
}

#[test]
fn broken_invariants_are_reported() {
    let twice = spoilt(|history| history.accepted[2].job = job_id(0));
    assert!(twice.broken_invariants[0].contains("key b"), "{twice:?}");
    let unknown = spoilt(|history| history.accepted = history.accepted.split_off(1));
    assert!(unknown.broken_invariants[0].contains("no client was told"), "{unknown:?}");
    let reopened = spoilt(|history| history.sightings[0].status = "error".into());
    assert!(reopened.broken_invariants[0].contains("was seen error and is completed"), "{reopened:?}");
    let uncanceled = spoilt(|history| history.canceled.push(job_id(0)));
    assert!(uncanceled.broken_invariants[0].contains("was accepted, and it is succeeded"), "{uncanceled:?}");
    let running = spoilt(|history| history.attempts[0].state = "running".into());
    assert!(running.broken_invariants[0].contains("1 running attempts"), "{running:?}");
    let overlapping = spoilt(|history| history.attempts[1].finished = Some(at(5)));
    assert!(overlapping.broken_invariants[0].contains("was claimed before"), "{overlapping:?}");
    let stalled = spoilt(|history| history.jobs[1].state = "pending".into());
    assert!(stalled.broken_invariants.iter().any(|line| line.contains("wait for nobody")), "{stalled:?}");
    let heads = spoilt(|history| history.jobs.iter_mut().for_each(|job| job.state = "queued".into()));
    assert!(heads.broken_invariants.iter().any(|line| line.contains("2 jobs hold the lane")), "{heads:?}");
}
