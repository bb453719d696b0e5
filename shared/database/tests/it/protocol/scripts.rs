//! Short lists of steps, each about one rule. The model judges them, so a list holds no expectations of its own.

use drydock_domain::{Isolation, Outcome, Phase};

use super::{
    op::{Ask, Label, Op, RunAt, Start, ask},
    runner,
};

/// Two tenants; projects 0 and 1 of the first, 2 of the second, in one pool; a leader; worker 0 with eight slots.
pub(crate) fn beginning() -> Vec<Op> {
    let project = |project, tenant| Op::Project { project, tenant, pool: "a", agent: "x", isolation: Isolation::None };
    vec![
        Op::Tenant { tenant: 0, weight: 1, cap: None },
        Op::Tenant { tenant: 1, weight: 1, cap: None },
        project(0, 0),
        project(1, 0),
        project(2, 1),
        Op::Lead { holder: 0 },
        Op::Start(worker(0)),
    ]
}

pub(crate) fn worker(worker: Label) -> Start {
    let instance = u8::try_from(worker).unwrap();
    Start { worker, instance, pool: "a", slots: 8, agents: &["x"], gpu: false, isolation: Isolation::None }
}

pub(crate) fn accept(asks: impl Into<Vec<Ask>>) -> Op {
    Op::Accept { tenant: 0, jobs: asks.into() }
}

pub(crate) fn reader(job: Label, project: Label) -> Ask {
    Ask { read_only: true, ..ask(job, project) }
}

pub(crate) fn urgent(job: Label, project: Label) -> Ask {
    Ask { priority: 9, ..ask(job, project) }
}

pub(crate) const ADMIT: Op = Op::Admit { lookahead: 0, batch: 100, stale: false };
pub(crate) const END_WAITS: Op = Op::EndWaits { batch: 100 };

pub(crate) fn redispatch() -> Op {
    Op::Redispatch { named: vec![], batch: 100, stale: false }
}

pub(crate) fn claim(job: Label, attempt: Label) -> Op {
    Op::Claim { job, older: 0, attempt, worker: 0 }
}

pub(crate) fn claim_by(worker: Label, job: Label, attempt: Label) -> Op {
    Op::Claim { job, older: 0, attempt, worker }
}

pub(crate) fn finish(job: Label, attempt: Label, outcome: Outcome) -> Op {
    Op::Finish { job, attempt, outcome, tree: true }
}

pub(crate) fn cancel(job: Label) -> Op {
    Op::Cancel { tenant: 0, job }
}

/// Each rule's list, named after it.
pub(crate) fn all() -> Vec<(&'static str, Vec<Op>)> {
    let mut all = vec![
        ("lane", lane()),
        ("claim", claims()),
        ("claims of workers", claims_of_workers()),
        ("finish", finishes()),
        ("publish", publishing()),
        ("retries", retries()),
        ("lost", lost()),
        ("cancel", cancels()),
        ("renew", renewals()),
        ("tickets", tickets()),
        ("unserved tickets", unserved()),
        ("admission", admission()),
        ("fair", fair()),
        ("waits", waits()),
        ("small batches", small_batches()),
        ("dependencies", dependencies()),
        ("deadlines", deadlines()),
        ("accept", acceptances()),
        ("places", places()),
        ("lead", leads()),
        ("faults", faults()),
    ];
    for (_, list) in &mut all {
        list.splice(0..0, beginning());
    }
    all
}

/// What a script showed: its name, its steps, the step and what differs.
pub(crate) type Shown = (&'static str, Vec<Op>, (usize, String));

/// Runs those with a name that `wanted` takes.
pub(crate) async fn run_some(client: &drydock_database::Client, wanted: impl Fn(&str) -> bool) -> Result<(), Shown> {
    for (name, list) in all().into_iter().filter(|(name, _)| wanted(name)) {
        runner::run(client, &list).await.map_err(|failure| (name, list, failure))?;
    }
    Ok(())
}

#[tokio::test]
async fn directed_steps_answer_as_the_model_says() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    if let Err((name, list, failure)) = run_some(&client, |_| true).await {
        panic!("{name}: {}", runner::explain(&client, &list, failure).await);
    }
}

fn lane() -> Vec<Op> {
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

fn claims() -> Vec<Op> {
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

fn claims_of_workers() -> Vec<Op> {
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

fn finishes() -> Vec<Op> {
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

fn publishing() -> Vec<Op> {
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

fn retries() -> Vec<Op> {
    let mut ops = vec![accept([Ask { retries: 2, ..ask(0, 0) }, ask(1, 0)])];
    for (attempt, outcome) in
        (0..).zip([Outcome::Failed, Outcome::Infra, Outcome::Interrupted, Outcome::Timeout, Outcome::Failed])
    {
        ops.extend([ADMIT, claim(0, attempt), finish(0, attempt, outcome), ADMIT, Op::Due { job: 0 }, END_WAITS]);
    }
    ops
}

fn lost() -> Vec<Op> {
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

fn cancels() -> Vec<Op> {
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

fn renewals() -> Vec<Op> {
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

fn tickets() -> Vec<Op> {
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

fn unserved() -> Vec<Op> {
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

fn admission() -> Vec<Op> {
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
fn fair() -> Vec<Op> {
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

fn waits() -> Vec<Op> {
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
fn small_batches() -> Vec<Op> {
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

fn dependencies() -> Vec<Op> {
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
    ]
}

fn deadlines() -> Vec<Op> {
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

fn acceptances() -> Vec<Op> {
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

fn places() -> Vec<Op> {
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

fn leads() -> Vec<Op> {
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

/// The last fault of ours that is forgiven, and the first that is not; and a back-off that would overflow.
fn faults() -> Vec<Op> {
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
