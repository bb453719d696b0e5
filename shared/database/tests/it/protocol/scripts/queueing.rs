//! From the acceptance to the ticket: lanes, places, waits, shares.

use super::*;

pub(super) fn lane() -> Vec<Op> {
    vec![
        accept([ask(0, 0)]),
        accept([ask(1, 0)]),
        accept([urgent(2, 0)]),
        accept([ask(3, 0)]),
        ADMIT,
        claim(0, 0),
        finish(0, 0, Outcome::Succeeded),
        ADMIT,
        claim(2, 1),
        finish(2, 1, Outcome::Failed),
        ADMIT,
        claim(1, 2),
        finish(1, 2, Outcome::Interrupted),
        ADMIT,
        claim(1, 3),
        finish(1, 3, Outcome::Succeeded),
        cancel(3),
        accept([urgent(4, 0), ask(5, 0), urgent(6, 0)]),
        cancel(4),
    ]
}

pub(super) fn tickets() -> Vec<Op> {
    let back = |job, older, pause| Op::Return { job, older, pause };
    vec![
        accept([ask(0, 0), ask(1, 1), reader(2, 0)]),
        back(0, 0, false),
        ADMIT,
        Op::Unclaimed { job: 0, periods: 0 },
        redispatch(),
        Op::Unclaimed { job: 0, periods: 1 },
        Op::Redispatch { named: vec![], batch: 100, stale: true },
        redispatch(),
        // The second time it takes twice as long.
        Op::Unclaimed { job: 0, periods: 1 },
        redispatch(),
        Op::Unclaimed { job: 0, periods: 2 },
        redispatch(),
        back(0, 1, false),
        back(0, 0, false),
        ADMIT,
        Op::Unclaimed { job: 0, periods: 1 },
        redispatch(),
        claim(0, 0),
        back(0, 0, false),
        redispatch(),
        Op::Redispatch { named: vec![0, 1], batch: 100, stale: false },
        Op::Redispatch { named: vec![1, 2], batch: 1, stale: false },
        back(1, 0, true),
        ADMIT,
        END_WAITS,
        Op::Due { job: 1 },
        END_WAITS,
        ADMIT,
        finish(0, 0, Outcome::Interrupted),
        back(0, 0, false),
        ADMIT,
        Op::Unclaimed { job: 0, periods: 1 },
        redispatch(),
        claim(1, 1),
        Op::Redispatch { named: vec![0, 1], batch: 1, stale: false },
    ]
}

pub(super) fn unserved() -> Vec<Op> {
    vec![
        Op::Start(Start { agents: &["y"], isolation: Isolation::Vm, gpu: true, ..worker(1) }),
        Op::Start(Start { pool: "b", isolation: Isolation::Vm, gpu: true, ..worker(2) }),
        accept([ask(0, 0), Ask { agent: Some("y"), ..ask(1, 1) }]),
        ADMIT,
        Op::Redispatch { named: vec![0], batch: 100, stale: false },
        Op::Drain { worker: 0 },
        Op::Redispatch { named: vec![0], batch: 100, stale: false },
        ADMIT,
        Op::Overdue { worker: 1, by: 10 },
        Op::Redispatch { named: vec![1], batch: 100, stale: false },
        // One that could not run it has slots.
        Op::Start(worker(4)),
        ADMIT,
        Op::Renew { worker: 1, told: vec![] },
        ADMIT,
        Op::End { worker: 1 },
        Op::Unclaimed { job: 1, periods: 1 },
        redispatch(),
        ADMIT,
        Op::Start(worker(3)),
        ADMIT,
    ]
}

pub(super) fn admission() -> Vec<Op> {
    let some = |worker: Label, slots, pool| Op::Start(Start { slots, pool, ..self::worker(worker) });
    vec![
        Op::End { worker: 0 },
        accept([ask(0, 0), reader(1, 0), reader(2, 0), ask(3, 1), reader(4, 1), urgent(5, 1)]),
        ADMIT,
        some(1, 1, "a"),
        ADMIT,
        ADMIT,
        claim_by(1, 5, 0),
        ADMIT,
        Op::Admit { lookahead: 1, batch: 100, stale: false },
        // Slots that do not count.
        some(2, 8, "a"),
        Op::Drain { worker: 2 },
        ADMIT,
        some(3, 8, "a"),
        Op::Overdue { worker: 3, by: 10 },
        ADMIT,
        some(4, 8, "a"),
        Op::End { worker: 4 },
        ADMIT,
        some(5, 8, "b"),
        ADMIT,
        some(6, 8, "a"),
        Op::Admit { lookahead: 0, batch: 1, stale: false },
        Op::Admit { lookahead: 0, batch: 0, stale: false },
        Op::Return { job: 0, older: 0, pause: true },
        Op::Admit { lookahead: 0, batch: 2, stale: true },
        ADMIT,
        ADMIT,
    ]
}

/// Two tenants of weight 1, one of weight 3, one with a cap over two pools.
pub(super) fn fair() -> Vec<Op> {
    let mut ops = vec![
        Op::Tenant { tenant: 2, weight: 3, cap: None },
        Op::Tenant { tenant: 3, weight: 100, cap: Some(2) },
        Op::End { worker: 0 },
    ];
    let mut job = 0;
    for project in 10..34 {
        let tenant = project % 4;
        let pool = if project < 30 { "a" } else { "b" };
        ops.push(Op::Project { project, tenant, pool, agent: "x", isolation: Isolation::None });
        let mut new = ask(job, project);
        (new.priority, job) = (i16::try_from(project % 3).unwrap(), job + 1);
        ops.push(Op::Accept { tenant, jobs: vec![new] });
    }
    ops.push(Op::Start(Start { slots: 12, ..worker(1) }));
    for batch in [1, 1, 1, 2, 3, 100] {
        ops.push(Op::Admit { lookahead: 0, batch, stale: false });
    }
    ops.extend([
        Op::Start(Start { slots: 3, pool: "b", ..worker(2) }),
        ADMIT,
        Op::Start(Start { slots: 4, ..worker(3) }),
        ADMIT,
    ]);
    ops
}

pub(super) fn waits() -> Vec<Op> {
    let later = |ask: Ask| Ask { run_at: Some(RunAt::Future), ..ask };
    vec![
        accept([later(ask(0, 0)), later(urgent(1, 0)), later(reader(2, 0)), ask(3, 0)]),
        accept([Ask { run_at: Some(RunAt::Past), ..ask(4, 0) }]),
        END_WAITS,
        Op::Due { job: 0 },
        Op::Due { job: 1 },
        END_WAITS,
        Op::Due { job: 2 },
        END_WAITS,
        ADMIT,
        claim(3, 0),
        finish(3, 0, Outcome::Infra),
        END_WAITS,
        ADMIT,
        Op::Due { job: 3 },
        ADMIT,
        END_WAITS,
        ADMIT,
        cancel(3),
        accept([later(ask(5, 1)), later(urgent(6, 1)), later(reader(7, 1))]),
        Op::Due { job: 5 },
        Op::Due { job: 6 },
        Op::Due { job: 7 },
        END_WAITS,
    ]
}

/// What does not wait, or not for this, takes no place in a batch.
pub(super) fn small_batches() -> Vec<Op> {
    let past = |ask: Ask| Ask { run_at: Some(RunAt::Past), ..ask };
    let later = |job| Ask { run_at: Some(RunAt::Future), ..ask(job, 1) };
    let hurried = |job| Ask { queue_timeout: true, ..ask(job, 1) };
    let needing = |job, need| Ask { needs: vec![need], ..ask(job, 1) };
    let one = Op::EndWaits { batch: 1 };
    vec![
        accept([ask(0, 0), past(ask(1, 0)), past(ask(2, 1)), past(reader(3, 1))]),
        accept([past(Ask { needs: vec![0], ..ask(4, 1) }), later(5), later(6)]),
        Op::Due { job: 5 },
        one.clone(),
        ADMIT,
        claim(0, 0),
        finish(0, 0, Outcome::Infra),
        accept([past(reader(10, 1))]),
        Op::Due { job: 0 },
        one.clone(),
        accept([hurried(7), hurried(8), hurried(9)]),
        Op::Expire { job: 7 },
        one.clone(),
        Op::Expire { job: 8 },
        one.clone(),
        accept([needing(20, 2), needing(21, 1), needing(22, 1), needing(23, 1), needing(24, 1), needing(25, 1)]),
        cancel(2),
        one,
    ]
}

pub(super) fn dependencies() -> Vec<Op> {
    let needs = |job, project, needs: &[Label]| Ask { needs: needs.to_vec(), ..ask(job, project) };
    vec![
        Op::Accept { tenant: 1, jobs: vec![ask(90, 2)] },
        accept([needs(91, 0, &[90])]),
        accept([needs(92, 0, &[92])]),
        accept([needs(93, 0, &[94]), ask(94, 1)]),
        accept([ask(0, 0), needs(1, 1, &[0]), needs(2, 1, &[0, 1, 1])]),
        accept([needs(3, 1, &[2]), Ask { run_at: Some(RunAt::Future), ..needs(4, 1, &[0]) }]),
        // What is refused, nothing of the same call can need.
        accept([ask(5, 2), needs(6, 0, &[5]), needs(7, 0, &[6]), needs(8, 0, &[0])]),
        accept([Ask { key: Some((1, 1)), ..ask(9, 0) }]),
        accept([
            Ask { key: Some((1, 1)), ..ask(10, 0) },
            needs(11, 0, &[10]),
            Ask { key: Some((2, 1)), ..needs(12, 0, &[10]) },
        ]),
        accept([Ask { key: Some((2, 1)), ..ask(13, 0) }]),
        accept([Ask { key: Some((3, 1)), ..needs(14, 0, &[99]) }, Ask { key: Some((3, 1)), ..ask(15, 0) }]),
        cancel(94),
        END_WAITS,
        ADMIT,
        claim(0, 0),
        finish(0, 0, Outcome::Succeeded),
        accept([Ask { read_only: true, ..needs(16, 1, &[0]) }]),
        END_WAITS,
        END_WAITS,
        Op::Due { job: 4 },
        END_WAITS,
        ADMIT,
        claim(1, 1),
        finish(1, 1, Outcome::Failed),
        accept([needs(17, 0, &[1, 0])]),
        END_WAITS,
        END_WAITS,
        END_WAITS,
        // A batch counts jobs, not what each of them waited for.
        accept([ask(20, 0), ask(21, 0), needs(22, 1, &[20, 21]), needs(23, 1, &[20, 21])]),
        cancel(20),
        cancel(21),
        Op::EndWaits { batch: 2 },
    ]
}

pub(super) fn deadlines() -> Vec<Op> {
    let hurried = |ask: Ask| Ask { queue_timeout: true, ..ask };
    vec![
        accept([hurried(ask(0, 0)), hurried(ask(1, 0)), hurried(ask(2, 1)), ask(3, 0)]),
        accept([Ask { run_at: Some(RunAt::Future), ..hurried(ask(4, 1)) }, hurried(ask(5, 2))]),
        accept([Ask { needs: vec![0], ..hurried(ask(6, 1)) }, Ask { needs: vec![2], ..ask(7, 1) }]),
        END_WAITS,
        ADMIT,
        claim(0, 0),
        Op::Expire { job: 0 },
        END_WAITS,
        Op::Expire { job: 2 },
        Op::Expire { job: 1 },
        END_WAITS,
        Op::Expire { job: 4 },
        Op::Expire { job: 6 },
        END_WAITS,
        finish(0, 0, Outcome::Infra),
        END_WAITS,
        END_WAITS,
        ADMIT,
    ]
}

pub(super) fn acceptances() -> Vec<Op> {
    let keyed = |job, key, body| Ask { key: Some((key, body)), ..ask(job, 0) };
    vec![
        accept([keyed(0, 1, 1)]),
        accept([keyed(1, 1, 1)]),
        accept([keyed(2, 1, 2)]),
        Op::Accept { tenant: 1, jobs: vec![Ask { key: Some((1, 3)), ..ask(3, 2) }] },
        Op::Accept { tenant: 1, jobs: vec![ask(4, 0)] },
        accept([ask(5, 99)]),
        accept([
            keyed(6, 2, 1),
            keyed(7, 2, 1),
            keyed(8, 2, 2),
            Ask { key: Some((4, 1)), ..ask(9, 99) },
            keyed(10, 4, 2),
        ]),
        Op::Project { project: 3, tenant: 0, pool: "a", agent: "y", isolation: Isolation::Landlock },
        accept([ask(11, 3), Ask { isolation: Isolation::Vm, agent: Some("z"), ..ask(12, 3) }]),
        Op::Delete { project: 3 },
        accept([ask(13, 3), keyed(14, 5, 1)]),
    ]
}

pub(super) fn places() -> Vec<Op> {
    vec![
        accept([reader(0, 0), reader(1, 0), reader(2, 0), reader(3, 0)]),
        accept([ask(4, 0), urgent(5, 0)]),
        accept([Ask { priority: 9, ..reader(6, 0) }]),
        cancel(1),
        cancel(0),
        cancel(2),
        accept([
            reader(7, 1),
            ask(8, 1),
            Ask { priority: 9, ..reader(9, 1) },
            Ask { priority: 3, ..reader(10, 1) },
            ask(11, 1),
        ]),
        accept([reader(12, 1)]),
        cancel(8),
        cancel(9),
        Op::Accept { tenant: 1, jobs: vec![ask(13, 2), reader(14, 2)] },
        Op::Accept { tenant: 1, jobs: vec![reader(15, 2), reader(16, 2)] },
        Op::Accept { tenant: 1, jobs: vec![ask(17, 2), reader(18, 2)] },
        Op::Cancel { tenant: 1, job: 13 },
        accept([reader(20, 1), reader(21, 1), reader(22, 1), Ask { priority: 9, ..reader(23, 1) }]),
        cancel(10),
    ]
}

/// No place is free for a writer; what waits in another project is not this one's.
pub(super) fn full_places() -> Vec<Op> {
    vec![
        accept([reader(0, 0), reader(1, 0), reader(2, 0), reader(3, 1), reader(4, 1), reader(5, 1)]),
        accept([ask(6, 0), ask(7, 0), Ask { priority: 9, ..reader(8, 1) }]),
        cancel(7),
        cancel(6),
        accept([reader(9, 0)]),
        cancel(0),
    ]
}

pub(super) fn leads() -> Vec<Op> {
    vec![
        Op::Lead { holder: 0 },
        Op::Lead { holder: 1 },
        accept([ask(0, 0), ask(1, 1)]),
        Op::Admit { lookahead: 0, batch: 1, stale: true },
        Op::Admit { lookahead: 0, batch: 1, stale: false },
        Op::ExpireLead,
        ADMIT,
        Op::Redispatch { named: vec![0, 1], batch: 100, stale: false },
        Op::Lead { holder: 1 },
        Op::Admit { lookahead: 0, batch: 1, stale: true },
        ADMIT,
        Op::Redispatch { named: vec![0, 1], batch: 100, stale: true },
        Op::Resign { holder: 0 },
        Op::Lead { holder: 0 },
        Op::Resign { holder: 1 },
        Op::Lead { holder: 1 },
        Op::Lead { holder: 0 },
    ]
}
