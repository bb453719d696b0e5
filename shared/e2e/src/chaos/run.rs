//! One run, in order: stack, projects, faults and clients, healing, settling, checking.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::future;
use serde::Serialize;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::{
    Options,
    clients::{self, Api, Desk, Ledger},
    clock::now,
    collect, effects,
    evidence::Evidence,
    faults::{self, Arena, Outcome},
    fleet::{self, Common, Fleet, Role},
    plan::{Step, Targets, plan},
    replay::Replay,
    report::Verdict,
    scrape::Metrics,
    servers::Servers,
    settle::{self, Ended},
    sql,
};

/// How long services may take to be ready again once everything is healed.
const RECOVERY: Duration = Duration::from_secs(60);

/// Rounds that a run gets beside its own, on a machine so slow or busy that some effect did not happen in time.
const EXTRA_ROUNDS: u64 = 2;
const EXTRA: Duration = Duration::from_secs(60);

/// Everything that lives as long as a run.
pub(super) struct Run {
    pub(super) options: Options,
    pub(super) seed: u64,
    pub(super) evidence: Evidence,
    pub(super) arena: Arc<Arena>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) api: Api,
    pub(super) metrics: Metrics,
    pub(super) can_cancel: AtomicBool,
    /// Of this run's database, as the superuser.
    pub(super) database: String,
}

#[derive(Serialize)]
struct Deed<'a> {
    from: u64,
    until: u64,
    #[serde(flatten)]
    step: &'a Step,
    outcome: Option<&'a Outcome>,
    trouble: Option<&'a str>,
}

/// Whether the run was good, and its verdict.
pub(super) async fn run(options: Options) -> Result<(bool, String)> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    say(&format!("seed {seed}, {:?} of faults, then up to {:?} to settle", options.duration, options.settle));
    let run = Arc::new(prepare(options, seed).await?);
    let keeping = drydock_runtime::tasks::spawn("keep", fleet::keep(run.arena.fleet.clone()));
    let scraping = drydock_runtime::tasks::spawn("scrape", run.metrics.clone().keep(run.arena.fleet.clone()));
    let made = clients::projects(&run.api, &run.name(), run.options.projects.into()).await?;
    say(&format!("{} projects are there; breaking things", made.len()));
    let mut troubles = break_things(&run, made).await?;
    say("everything is healed; waiting for the jobs to end");
    troubles.extend(run.arena.fleet.ready(RECOVERY).await.err().map(|error| format!("{error:#}")));
    let ended = settle::settle(&run).await?;
    keeping.abort();
    scraping.abort();
    finish(&run, ended, troubles)
}

async fn prepare(options: Options, seed: u64) -> Result<Run> {
    let servers = Servers::find(&options.state, &options.scripts)?;
    let evidence = Evidence::create(&options.evidence)?;
    let name = format!("chaos_{}", Uuid::now_v7().simple());
    let common = Common { database: name.clone(), pool: name.replace('_', "-"), prefix: format!("{name}/") };
    let database = servers.database_url(&name)?;
    let admin = sql::connect(&servers.database_url("postgres")?).await?;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.context("create the run's database")?;
    drydock_testing::bring_up(&database.clone().into()).await;
    if let Some(sabotage) = options.sabotage {
        say(&format!("SABOTAGE: {sabotage:?}: this run must fail"));
        sabotage.carry_out(&sql::connect(&database).await?).await?;
    }
    let fleet = Arc::new(Fleet::start(&servers, &common, evidence.directory()).await?);
    let replay = Replay::new(servers.setting("DRYDOCK_AMQP_URL")?.to_owned(), database.clone(), common.pool.clone());
    let ledger = Arc::new(Ledger::default());
    let api = Api::new(fleet.bases(), ledger.clone());
    let arena = Arc::new(Arena::new(fleet, servers, common, replay));
    let (metrics, can_cancel) = (Metrics::default(), AtomicBool::new(true));
    Ok(Run { options, seed, evidence, arena, ledger, api, metrics, can_cancel, database })
}

impl Run {
    fn name(&self) -> String {
        self.arena.common.pool.clone()
    }

    fn targets(&self) -> Targets {
        let names = |role| self.arena.fleet.of(role).map(|service| service.name.clone()).collect();
        Targets { workers: names(Role::Worker), dispatchers: names(Role::Dispatcher), apis: names(Role::Api) }
    }
}

/// The plan and the clients side by side; what went wrong that should not have.
async fn break_things(run: &Arc<Run>, projects: Vec<Uuid>) -> Result<Vec<String>> {
    let (over, is_over) = watch::channel(false);
    let desk = Desk {
        api: run.api.clone(),
        run: run.name(),
        projects,
        program: std::env::current_exe().context("/proc is mounted")?,
        log: run.evidence.side_log(),
        seed: run.seed,
    };
    let mut clients: Vec<JoinHandle<Result<()>>> = (0..run.options.clients)
        .map(|number| drydock_runtime::tasks::spawn("client", clients::submit(desk.clone(), number, is_over.clone())))
        .collect();
    let meddling = run.clone();
    clients.push(drydock_runtime::tasks::spawn("meddler", async move {
        let (api, database) = (meddling.api.clone(), meddling.database.clone());
        clients::meddle(api, database, meddling.seed, &meddling.can_cancel, is_over).await
    }));
    let mut troubles = round(run, 0, run.options.duration).await?;
    // What is broken on purpose may keep an effect from ever happening.
    let extra_rounds = if run.options.sabotage.is_some() { 0 } else { EXTRA_ROUNDS };
    for extra in 1..=extra_rounds {
        let missing = missing_so_far(run).await?;
        if missing.is_empty() {
            break;
        }
        say(&format!("has not happened yet: {}; another round", missing.join(", ")));
        troubles.extend(round(run, extra, EXTRA).await?);
    }
    over.send_replace(true);
    for ended in future::join_all(clients).await {
        troubles.extend(ended.context("a client panicked")?.err().map(|error| format!("{error:#}")));
    }
    Ok(troubles)
}

/// One plan from its begin to its end, healed.
async fn round(run: &Arc<Run>, number: u64, duration: Duration) -> Result<Vec<String>> {
    let steps = plan(run.seed.wrapping_add(number), duration, &run.targets());
    run.evidence.write(&format!("plan-{number}.json"), serde_json::to_vec_pretty(&steps)?)?;
    let start = Instant::now();
    let done = future::join_all(steps.iter().map(|step| take(run, step, start))).await;
    sleep_until(start + duration).await;
    run.arena.fleet.services().iter().for_each(faults::heal);
    Ok(done.into_iter().flatten().collect())
}

async fn missing_so_far(run: &Run) -> Result<Vec<&'static str>> {
    run.metrics.look(&run.arena.fleet).await;
    let history = collect::history(run, &sql::connect(&run.database).await?).await?;
    Ok(effects::missing(&collect::effects(run, &history)))
}

/// Carries out one step at its time; what went wrong with that.
async fn take(run: &Run, step: &Step, start: Instant) -> Option<String> {
    sleep_until(start + Duration::from_millis(step.at)).await;
    let from = now();
    let done = faults::carry_out(&run.arena, &step.fault).await;
    let (until, outcome) = (now(), done.as_ref().ok());
    let trouble = done.as_ref().err().map(|error| format!("{:?}: {error:#}", step.fault));
    let noted = run.evidence.deed(&Deed { from, until, step, outcome, trouble: trouble.as_deref() });
    trouble.or_else(|| noted.err().map(|error| format!("{error:#}")))
}

fn finish(run: &Run, ended: Ended, mut troubles: Vec<String>) -> Result<(bool, String)> {
    troubles.extend(ended.troubles);
    troubles.extend(run.ledger.refusals());
    let verdict = Verdict {
        seed: run.seed,
        findings: &ended.findings,
        effects: &ended.effects,
        troubles: &troubles,
        evidence: run.evidence.directory(),
    };
    run.evidence.write("verdict.txt", verdict.text())?;
    run.evidence.write("findings.txt", ended.findings.lines().join("\n"))?;
    Ok((verdict.is_good(), verdict.text()))
}

#[expect(clippy::print_stderr, reason = "a command line program's own words")]
pub(super) fn say(text: &str) {
    eprintln!("[chaos] {text}");
}
