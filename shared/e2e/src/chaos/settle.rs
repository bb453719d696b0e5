//! After the healing: wait for every job's end, collect what is known from all sides, check.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    agent, check,
    check::Findings,
    collect,
    effects::Effect,
    fleet::Role,
    history::Survivor,
    marked, rows,
    run::{Run, say},
    sql,
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long processes of attempts that are over may still be there: a worker ends them before it tells of the end, but a thawed or
/// restarted one has some to clean up that were fenced.
const LAST_BREATH: Duration = Duration::from_secs(10);
/// How long the services may take to stop at the end.
const STOP: Duration = Duration::from_secs(40);

/// A run that is over.
pub(super) struct Ended {
    pub(super) findings: Findings,
    pub(super) effects: Vec<Effect>,
    pub(super) troubles: Vec<String>,
}

pub(super) async fn settle(run: &Run) -> Result<Ended> {
    let client = sql::connect(&run.database).await?;
    until_over(&client, run.options.settle).await?;
    run.metrics.look(&run.arena.fleet).await;
    let mut history = collect::history(run, &client).await?;
    let (jobs, attempts, versions) = (history.jobs.len(), history.attempts.len(), history.versions.len());
    say(&format!("{jobs} jobs, {attempts} attempts, {versions} versions"));
    let fleet = &run.arena.fleet;
    let attempts: BTreeSet<Uuid> = history.attempts.iter().map(|attempt| attempt.id).collect();
    history.survivors = survivors(&attempts).await?;
    let mut troubles = Vec::new();
    for project in history.heads.keys() {
        match read_effects(run, *project).await {
            Ok(listed) => drop(history.effects.insert(*project, listed)),
            Err(error) => troubles.push(format!("project {project}: {error:#}")),
        }
    }
    // Before the stop: that one is the run's end, not a fault.
    troubles.extend(fleet.services().iter().flat_map(|service| service.unexpected()));
    troubles.extend(fleet.stop(STOP).await);
    let mut late = marked::of(&attempts)?;
    late.retain(|late| !history.survivors.contains(late));
    history.survivors.extend(late);
    let effects = collect::effects(run, &history);
    run.evidence.write("history.json", serde_json::to_vec(&history)?)?;
    run.evidence.write("outages.json", serde_json::to_vec(&run.arena.outages())?)?;
    run.evidence.write("metrics.txt", run.metrics.text())?;
    run.evidence.write("jobs.jsonl", rows::story(&client).await?)?;
    let findings = check::check(&history);
    clean(run)?;
    Ok(Ended { findings, effects, troubles })
}

/// Waits for the end of every job; gives up once none has ended for `patience`, and after ten times as long.
async fn until_over(client: &Client, patience: Duration) -> Result<()> {
    let began = Instant::now();
    let (mut least, mut since) = (i64::MAX, began);
    while since.elapsed() < patience && began.elapsed() < patience * 10 {
        let open = rows::open_jobs(client).await?;
        if open == 0 {
            return Ok(());
        }
        if open < least {
            (least, since) = (open, Instant::now());
        }
        sleep(LOOK).await;
    }
    say(&format!("{least} jobs are not over, none has ended for {:?}", since.elapsed()));
    Ok(())
}

/// What still lives when it had its time.
async fn survivors(attempts: &BTreeSet<Uuid>) -> Result<Vec<Survivor>> {
    let end = Instant::now() + LAST_BREATH;
    loop {
        let found = marked::of(attempts)?;
        if found.is_empty() || Instant::now() > end {
            return Ok(found);
        }
        sleep(LOOK).await;
    }
}

async fn read_effects(run: &Run, project: Uuid) -> Result<Vec<Uuid>> {
    let text = run.api.file(project, agent::EFFECTS).await?;
    text.lines().map(|line| line.parse().with_context(|| format!("{}: {line}", agent::EFFECTS))).collect()
}

/// Kills what a failed run left, and removes the scratch directories: their content is no evidence.
fn clean(run: &Run) -> Result<()> {
    for worker in run.arena.fleet.of(Role::Worker).filter(|worker| worker.scratch.exists()) {
        drydock_agent::end_strays(&worker.scratch)?;
        fs_err::remove_dir_all(&worker.scratch)?;
    }
    Ok(())
}
