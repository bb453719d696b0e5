//! Short lists of steps, each about one rule. The model judges them, so a list holds no expectations of its own.

mod attempts;
mod queueing;

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
        ("lane", queueing::lane()),
        ("claim", attempts::claims()),
        ("claims of workers", attempts::claims_of_workers()),
        ("finish", attempts::finishes()),
        ("publish", attempts::publishing()),
        ("retries", attempts::retries()),
        ("lost", attempts::lost()),
        ("cancel", attempts::cancels()),
        ("renew", attempts::renewals()),
        ("tickets", queueing::tickets()),
        ("unserved tickets", queueing::unserved()),
        ("admission", queueing::admission()),
        ("fair", queueing::fair()),
        ("waits", queueing::waits()),
        ("small batches", queueing::small_batches()),
        ("dependencies", queueing::dependencies()),
        ("deadlines", queueing::deadlines()),
        ("accept", queueing::acceptances()),
        ("places", queueing::places()),
        ("full places", queueing::full_places()),
        ("lead", queueing::leads()),
        ("faults", attempts::faults()),
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
