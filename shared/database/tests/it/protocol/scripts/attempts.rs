//! From the claim to the end of an attempt.

use super::*;

pub(super) fn claims() -> Vec<Op> {
    vec![
        accept([ask(0, 0), ask(1, 1)]),
        claim(0, 9),
        ADMIT,
        Op::Redispatch { named: vec![0], batch: 1, stale: false },
        Op::Claim { job: 0, older: 1, attempt: 8, worker: 0 },
        claim(0, 0),
        claim(0, 0),
        claim(0, 7),
        Op::Start(worker(1)),
        claim_by(1, 0, 0),
        claim_by(1, 0, 6),
        claim(1, 1),
        // Another job's attempt, on a job that is not to be had.
        claim(0, 1),
        finish(0, 0, Outcome::Interrupted),
        claim(0, 0),
        ADMIT,
        claim_by(1, 0, 2),
        finish(0, 2, Outcome::Succeeded),
        claim_by(1, 0, 2),
        claim(99, 3),
    ]
}

pub(super) fn claims_of_workers() -> Vec<Op> {
    let start = |worker: Label, pool, isolation, gpu, agents| {
        Op::Start(Start { worker, instance: u8::try_from(worker).unwrap(), pool, slots: 1, agents, gpu, isolation })
    };
    vec![
        start(1, "b", Isolation::Vm, true, &["x", "y"]),
        start(2, "a", Isolation::Vm, true, &["x", "y"]),
        start(3, "a", Isolation::Landlock, false, &["y"]),
        accept([
            Ask { isolation: Isolation::Landlock, ..ask(0, 0) },
            Ask { gpu: true, read_only: true, ..ask(1, 0) },
            Ask { agent: Some("y"), ..ask(2, 1) },
            Ask { command: true, read_only: true, ..ask(3, 1) },
        ]),
        ADMIT,
        Op::Pull { worker: 0, most: 9 },
        Op::Pull { worker: 1, most: 9 },
        Op::Pull { worker: 2, most: 9 },
        Op::Pull { worker: 2, most: 1 },
        Op::Pull { worker: 3, most: 9 },
        claim(0, 0),
        claim_by(1, 0, 1),
        claim_by(3, 0, 2),
        claim(1, 3),
        claim(2, 4),
        claim_by(3, 1, 5),
        Op::Drain { worker: 3 },
        Op::Pull { worker: 3, most: 9 },
        claim_by(3, 2, 6),
        Op::Overdue { worker: 2, by: 10 },
        claim_by(2, 0, 7),
        Op::Renew { worker: 2, told: vec![] },
        Op::End { worker: 0 },
        Op::Pull { worker: 0, most: 9 },
        claim(3, 8),
        claim_by(99, 3, 8),
        claim_by(2, 0, 9),
        claim_by(2, 1, 10),
        claim_by(2, 2, 11),
        claim_by(2, 3, 12),
    ]
}

pub(super) fn finishes() -> Vec<Op> {
    vec![
        accept([ask(0, 0), ask(1, 1), reader(2, 1), reader(3, 0)]),
        ADMIT,
        claim(0, 0),
        claim(1, 1),
        claim(2, 2),
        claim(3, 3),
        // The wrong job, an unknown attempt, an unknown job.
        finish(1, 0, Outcome::Succeeded),
        finish(0, 9, Outcome::Succeeded),
        finish(99, 0, Outcome::Succeeded),
        finish(0, 0, Outcome::Interrupted),
        finish(0, 0, Outcome::Interrupted),
        finish(0, 0, Outcome::Succeeded),
        // Its outcome, but another job's.
        finish(1, 0, Outcome::Interrupted),
        ADMIT,
        claim(0, 4),
        finish(0, 0, Outcome::Succeeded),
        finish(0, 0, Outcome::Interrupted),
        finish(0, 4, Outcome::Succeeded),
        finish(0, 4, Outcome::Succeeded),
        finish(0, 4, Outcome::Failed),
        Op::Import { project: 1 },
        finish(1, 1, Outcome::Succeeded),
        finish(1, 1, Outcome::Succeeded),
        finish(2, 2, Outcome::Succeeded),
        cancel(3),
        finish(3, 3, Outcome::Failed),
        finish(3, 3, Outcome::Failed),
        Op::Finish { job: 1, attempt: 1, outcome: Outcome::Conflict, tree: false },
    ]
}

pub(super) fn publishing() -> Vec<Op> {
    let keep = |job, retries| Ask { keep_on_error: true, retries, ..ask(job, 0) };
    vec![
        accept([keep(0, 0), keep(1, 1), ask(2, 0), ask(3, 0), keep(4, 0)]),
        accept([Ask { keep_on_error: true, ..reader(5, 1) }, reader(6, 1)]),
        ADMIT,
        claim(0, 0),
        finish(0, 0, Outcome::Failed),
        claim(5, 5),
        finish(5, 5, Outcome::Failed),
        claim(6, 6),
        finish(6, 6, Outcome::Succeeded),
        ADMIT,
        claim(1, 1),
        finish(1, 1, Outcome::Timeout),
        Op::Due { job: 1 },
        END_WAITS,
        ADMIT,
        claim(1, 2),
        finish(1, 2, Outcome::Timeout),
        ADMIT,
        claim(2, 3),
        finish(2, 3, Outcome::Failed),
        ADMIT,
        claim(3, 4),
        Op::Finish { job: 3, attempt: 4, outcome: Outcome::Succeeded, tree: false },
        ADMIT,
        claim(4, 7),
        Op::Import { project: 0 },
        finish(4, 7, Outcome::Failed),
        ADMIT,
        claim(4, 8),
        Op::Import { project: 0 },
        Op::Finish { job: 4, attempt: 8, outcome: Outcome::Succeeded, tree: false },
    ]
}

pub(super) fn retries() -> Vec<Op> {
    let mut ops = vec![accept([Ask { retries: 2, ..ask(0, 0) }, ask(1, 0)])];
    for (attempt, outcome) in
        (0..).zip([Outcome::Failed, Outcome::Infra, Outcome::Interrupted, Outcome::Timeout, Outcome::Failed])
    {
        ops.extend([ADMIT, claim(0, attempt), finish(0, attempt, outcome), ADMIT, Op::Due { job: 0 }, END_WAITS]);
    }
    ops
}

pub(super) fn lost() -> Vec<Op> {
    let mut ops = vec![accept([ask(0, 0), ask(1, 0), ask(2, 1)]), ADMIT, claim(2, 50)];
    for attempt in 1..4 {
        ops.extend([
            Op::Start(worker(attempt)),
            ADMIT,
            claim_by(attempt, 0, attempt),
            Op::Reap { attempt: attempt - 1 },
            Op::Reap { attempt },
            Op::Log { attempt, text: "last words" },
            Op::Overdue { worker: attempt, by: 10 },
            Op::EndExpired,
            Op::Reap { attempt },
            Op::Overdue { worker: attempt, by: 100 },
            if attempt == 2 { Op::EndExpired } else { END_WAITS },
            Op::Reap { attempt },
            Op::Reap { attempt },
            finish(0, attempt, Outcome::Succeeded),
            finish(0, attempt, Outcome::Lost),
            ADMIT,
            Op::Due { job: 0 },
            END_WAITS,
        ]);
    }
    ops.extend([Op::End { worker: 0 }, Op::EndExpired, Op::Reap { attempt: 50 }, Op::Reap { attempt: 99 }]);
    ops
}

pub(super) fn cancels() -> Vec<Op> {
    vec![
        accept([
            ask(0, 0),
            ask(1, 0),
            Ask { run_at: Some(RunAt::Future), ..ask(2, 0) },
            ask(3, 1),
            ask(4, 1),
            ask(5, 1),
        ]),
        accept([Ask { needs: vec![0, 3], ..ask(6, 1) }]),
        cancel(2),
        cancel(1),
        ADMIT,
        Op::Cancel { tenant: 1, job: 3 },
        cancel(3),
        cancel(3),
        claim(3, 9),
        END_WAITS,
        claim(0, 0),
        cancel(0),
        cancel(0),
        Op::Renew { worker: 0, told: vec![(0, Phase::Running)] },
        finish(0, 0, Outcome::Succeeded),
        finish(0, 0, Outcome::Succeeded),
        finish(0, 0, Outcome::Failed),
        cancel(0),
        // Cancelled, and then its worker is gone.
        ADMIT,
        claim(4, 1),
        cancel(4),
        Op::End { worker: 0 },
        Op::Reap { attempt: 1 },
        // Cancelled while it backs off, and while it waits for another.
        Op::Start(worker(1)),
        ADMIT,
        claim_by(1, 5, 2),
        finish(5, 2, Outcome::Infra),
        accept([Ask { needs: vec![5], ..ask(7, 0) }]),
        cancel(7),
        cancel(5),
        END_WAITS,
        cancel(99),
        accept([ask(8, 0)]),
        ADMIT,
        claim_by(1, 8, 3),
        finish(8, 3, Outcome::Canceled),
    ]
}

pub(super) fn renewals() -> Vec<Op> {
    let renew = |worker, told: &[(Label, Phase)]| Op::Renew { worker, told: told.to_vec() };
    vec![
        Op::Start(worker(1)),
        accept([ask(0, 0), ask(1, 1), reader(2, 0)]),
        ADMIT,
        claim(0, 0),
        claim_by(1, 1, 1),
        claim(2, 2),
        renew(0, &[(0, Phase::Running), (1, Phase::Running), (2, Phase::Materializing)]),
        renew(0, &[(0, Phase::Running)]),
        finish(2, 2, Outcome::Succeeded),
        renew(0, &[(2, Phase::Pushing), (0, Phase::Pushing)]),
        cancel(0),
        renew(0, &[]),
        Op::Overdue { worker: 1, by: 10 },
        renew(1, &[]),
        Op::Overdue { worker: 1, by: 100 },
        Op::Reap { attempt: 1 },
        renew(1, &[(1, Phase::Pushing)]),
        Op::Start(Start { worker: 2, ..worker(0) }),
        renew(0, &[(0, Phase::Running)]),
        Op::Drain { worker: 2 },
        renew(2, &[]),
        renew(99, &[]),
    ]
}

/// The last fault of ours that is forgiven, and the first that is not; and a back-off that would overflow.
pub(super) fn faults() -> Vec<Op> {
    let mut ops = vec![accept([ask(0, 0), ask(1, 1)])];
    for attempt in 0..20 {
        ops.extend([ADMIT, claim(0, attempt), finish(0, attempt, Outcome::Infra), Op::Due { job: 0 }, END_WAITS]);
    }
    for attempt in 100..105 {
        ops.extend([ADMIT, claim(1, attempt), Op::Import { project: 1 }, finish(1, attempt, Outcome::Succeeded)]);
    }
    ops.push(accept([Ask { retries: 100, ..ask(2, 0) }]));
    for attempt in 200..246 {
        ops.extend([ADMIT, claim(2, attempt), finish(2, attempt, Outcome::Failed), Op::Due { job: 2 }, END_WAITS]);
    }
    ops
}
