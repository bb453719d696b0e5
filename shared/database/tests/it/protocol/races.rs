//! Two calls at once, the first one's transaction still open when the second arrives. Whatever the second answers must be
//! what it would answer after the first; and whether it had to wait is part of the protocol.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use drydock_database::{Client, Database};
use drydock_domain::Outcome;

use super::{
    check::Span,
    driver,
    model::Answer,
    op::{Ask, Op, RunAt, Start, ask},
    runner::{Runner, chain},
    scripts::{ADMIT, END_WAITS, accept, beginning, cancel, claim, claim_by, finish, reader, worker},
};

/// What is there, who comes first, who second, and whether the second waits for the first.
struct Race {
    name: &'static str,
    before: Vec<Op>,
    first: Op,
    second: Op,
    waits: bool,
}

fn race(name: &'static str, before: impl Into<Vec<Op>>, first: Op, second: Op, waits: bool) -> Race {
    Race { name, before: before.into(), first, second, waits }
}

fn all() -> Vec<Race> {
    [of_attempts(), of_projects(), of_waits()].into_iter().flatten().collect()
}

fn of_attempts() -> Vec<Race> {
    let one = || vec![accept([ask(0, 0)]), ADMIT];
    let running = || [one(), vec![claim(0, 0)]].concat();
    let overdue = || [running(), vec![Op::Overdue { worker: 0, by: 100 }]].concat();
    let done = finish(0, 0, Outcome::Succeeded);
    let named = || Op::Redispatch { named: vec![0], batch: 100, stale: false };
    let back = Op::Return { job: 0, older: 0, pause: false };
    vec![
        race("claim, claim", [one(), vec![Op::Start(worker(1))]].concat(), claim(0, 0), claim_by(1, 0, 1), true),
        race("claim, cancel", one(), claim(0, 0), cancel(0), true),
        race("cancel, claim", one(), cancel(0), claim(0, 0), true),
        race("claim, end of the worker", one(), claim(0, 0), Op::End { worker: 0 }, true),
        race("end of the worker, claim", one(), Op::End { worker: 0 }, claim(0, 0), true),
        race("claim, successor", one(), claim(0, 0), Op::Start(Start { worker: 1, ..worker(0) }), true),
        race("redispatch, claim", one(), named(), Op::Claim { job: 0, older: 1, attempt: 0, worker: 0 }, true),
        race("claim, redispatch", one(), claim(0, 0), named(), false),
        race("claim, hand back", one(), claim(0, 0), back.clone(), true),
        race("hand back, claim", one(), back, claim(0, 0), true),
        race("renew, reap", overdue(), Op::Renew { worker: 0, told: vec![] }, Op::Reap { attempt: 0 }, true),
        race("reap, renew", overdue(), Op::Reap { attempt: 0 }, Op::Renew { worker: 0, told: vec![] }, true),
        race("reap, reap", overdue(), Op::Reap { attempt: 0 }, Op::Reap { attempt: 0 }, true),
        race("finish, reap", overdue(), done.clone(), Op::Reap { attempt: 0 }, true),
        race("reap, finish", overdue(), Op::Reap { attempt: 0 }, done.clone(), true),
        race("finish, finish", running(), done.clone(), done.clone(), true),
        race("finish, cancel", running(), done.clone(), cancel(0), true),
        race("cancel, finish", running(), cancel(0), done.clone(), true),
        race("reap, cancel", overdue(), Op::Reap { attempt: 0 }, cancel(0), true),
        race("cancel, reap", overdue(), cancel(0), Op::Reap { attempt: 0 }, true),
    ]
}

fn of_projects() -> Vec<Race> {
    let one = || vec![accept([ask(0, 0)]), ADMIT];
    let running = || [one(), vec![claim(0, 0)]].concat();
    let overdue = || [running(), vec![Op::Overdue { worker: 0, by: 100 }]].concat();
    let done = finish(0, 0, Outcome::Succeeded);
    let keyed = |job, project| accept([Ask { key: Some((1, 1)), ..ask(job, project) }]);
    let needing = || accept([Ask { needs: vec![0], ..ask(9, 1) }]);
    vec![
        race("finish, accept", running(), done.clone(), accept([ask(1, 0)]), true),
        race("accept, finish", running(), accept([ask(1, 0)]), done.clone(), true),
        race("reap, accept", overdue(), Op::Reap { attempt: 0 }, accept([ask(1, 0)]), true),
        race("accept, cancel", one(), accept([ask(1, 0)]), cancel(0), true),
        race("accept, accept", [], accept([ask(0, 0)]), accept([ask(1, 0)]), true),
        race("version, finish", running(), Op::Import { project: 0 }, done.clone(), true),
        race(
            "two finishes of readers",
            [
                accept([reader(0, 0), reader(1, 0), reader(2, 0), reader(3, 0), reader(4, 0)]),
                ADMIT,
                claim(0, 0),
                claim(1, 1),
            ],
            done.clone(),
            finish(1, 1, Outcome::Succeeded),
            true,
        ),
        race("same key, two projects", [], keyed(0, 0), keyed(1, 1), true),
        race("needing, finish", running(), needing(), done.clone(), true),
        race("finish, needing", running(), done.clone(), needing(), true),
        race("needing, cancel", one(), needing(), cancel(0), true),
    ]
}

fn of_waits() -> Vec<Race> {
    let one = || vec![accept([ask(0, 0)]), ADMIT];
    let running = || [one(), vec![claim(0, 0)]].concat();
    let done = finish(0, 0, Outcome::Succeeded);
    let needing = || accept([Ask { needs: vec![0], ..ask(9, 1) }]);
    let expired = || vec![accept([Ask { queue_timeout: true, ..ask(0, 0) }]), ADMIT, Op::Expire { job: 0 }];
    let due = || vec![accept([Ask { run_at: Some(RunAt::Future), ..ask(0, 0) }]), Op::Due { job: 0 }];
    let named = || Op::Redispatch { named: vec![0], batch: 100, stale: false };
    vec![
        race("expire, claim", expired(), END_WAITS, claim(0, 0), true),
        race("claim, expire", expired(), claim(0, 0), END_WAITS, true),
        race("cancel, due", due(), cancel(0), END_WAITS, true),
        race("due, cancel", due(), END_WAITS, cancel(0), true),
        race("due, due", due(), END_WAITS, END_WAITS, true),
        race("cancel, expire", expired(), cancel(0), END_WAITS, true),
        race("due, accept", due(), END_WAITS, accept([ask(1, 0)]), true),
        race("expire, accept", expired(), END_WAITS, accept([ask(1, 0)]), true),
        race("cancel, end of what it needs", [running(), vec![needing()]].concat(), cancel(9), done.clone(), true),
        race("end of what it needs, cancel", [running(), vec![needing()]].concat(), done, cancel(9), true),
        race("cancel, fail for a dependency", [one(), vec![needing(), cancel(0)]].concat(), cancel(9), END_WAITS, true),
        race(
            "needing, fail for a dependency",
            [one(), vec![accept([Ask { needs: vec![0], ..ask(9, 1) }]), cancel(0)]].concat(),
            accept([Ask { needs: vec![9], ..ask(10, 0) }]),
            END_WAITS,
            true,
        ),
        race("ready, ready", backed_off(), END_WAITS, END_WAITS, false),
        race("admit, admit", [accept([ask(0, 0), ask(1, 1)])], ADMIT, ADMIT, false),
        race("redispatch, redispatch", one(), named(), Op::Redispatch { named: vec![], batch: 9, stale: false }, false),
        race(
            "another leads, admit",
            [accept([ask(0, 0)]), Op::ExpireLead],
            Op::Lead { holder: 1 },
            Op::Admit { lookahead: 0, batch: 9, stale: true },
            false,
        ),
        race("admit, another leads", [accept([ask(0, 0)])], ADMIT, Op::Lead { holder: 0 }, true),
        race("admit, cancel", [accept([ask(0, 0)])], ADMIT, cancel(0), true),
    ]
}

fn backed_off() -> Vec<Op> {
    vec![accept([ask(0, 0)]), ADMIT, claim(0, 0), finish(0, 0, Outcome::Infra), Op::Due { job: 0 }]
}

/// Runs them all; the error names the race and what differs.
pub(crate) async fn run_all(database: &Database) -> Result<(), (&'static str, String)> {
    let (one, two) = (database.client().await.unwrap(), database.client().await.unwrap());
    for race in all() {
        run(&one, &two, &race).await.map_err(|error| (race.name, error))?;
    }
    Ok(())
}

async fn run(one: &Client, two: &Client, race: &Race) -> Result<(), String> {
    let mut runner = Runner::new(one).await;
    for op in beginning().iter().chain(&race.before) {
        runner.step(op).await?;
    }
    let from = Utc::now().trunc_subsecs(6);
    one.batch_execute("BEGIN").await.unwrap();
    let first = driver::make(one, &runner.world, &race.first, from).await;
    let first = first.map_err(|error| format!("first: {}", chain(&error)));
    let (waited, second) = match first {
        Ok(first) => {
            runner.world.apply(&race.first, &first, from).map_err(|error| format!("first: {error}"))?;
            arrive(one, two, &runner, &race.second, from).await
        }
        Err(error) => {
            one.batch_execute("ROLLBACK").await.unwrap();
            return Err(error);
        }
    };
    let mut told = std::mem::take(&mut runner.world.told);
    runner.world.apply(&race.second, &second?, from)?;
    told.append(&mut runner.world.told);
    runner.world.told = told;
    runner.compare(Span { from, to: Utc::now() }).await?;
    if waited == race.waits { Ok(()) } else { Err(format!("whether the second waited for the first: {waited}")) }
}

/// Makes the second call, and ends the first's transaction once it waits or has answered.
async fn arrive(
    one: &Client,
    two: &Client,
    runner: &Runner<'_>,
    second: &Op,
    from: DateTime<Utc>,
) -> (bool, Result<Answer, String>) {
    let mut second = std::pin::pin!(driver::make(two, &runner.world, second, from));
    let mut answer = None;
    tokio::select! {
        early = &mut second => answer = Some(early),
        () = drydock_testing::until("the second call waits", Duration::from_secs(5), || is_waiting(one)) => {}
    }
    let ended = one.batch_execute("COMMIT").await;
    let waited = answer.is_none();
    let answer = match answer {
        Some(answer) => answer,
        None => second.await,
    };
    let answer = answer.map_err(|error| format!("second: {}", chain(&error)));
    (waited, ended.map_err(|error| format!("commit: {}", chain(&error))).and(answer))
}

async fn is_waiting(client: &Client) -> Option<()> {
    let sql =
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: bool = client.query_one(sql, &[]).await.unwrap().get(0);
    waiting.then_some(())
}

#[tokio::test]
async fn of_two_calls_at_once_the_second_answers_as_if_it_came_after() {
    let database = drydock_testing::database().await;
    if let Err((name, error)) = run_all(&database).await {
        panic!("{name}: {error}");
    }
}
