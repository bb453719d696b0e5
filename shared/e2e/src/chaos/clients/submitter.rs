//! Clients that submit jobs and follow them.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{api::Api, kinds};

/// How long a client follows its job before it submits another.
const FOLLOW: Duration = Duration::from_secs(4);
/// One wait of it.
const WAIT: Duration = Duration::from_millis(1000);
/// Jobs a client leaves open before it waits for the oldest of them: a slow machine gets a longer run, not a longer queue.
const OPEN: usize = 12;
/// Between two jobs of a client.
const THINK: std::ops::Range<u64> = 0..300;
/// One in so many submissions is repeated although it was answered.
const REPEATED: u32 = 8;
/// How long the first jobs may take: nothing is broken yet.
const FIRST: Duration = Duration::from_secs(120);

/// Makes `count` projects and waits for their first versions.
///
/// # Errors
/// One of them cannot be made.
pub(crate) async fn projects(api: &Api, run: &str, count: usize) -> Result<Vec<Uuid>> {
    let mut made = Vec::new();
    for number in 0..count {
        let key = format!("{run}-project-{number}");
        let body = json!({"instruction": format!("A project to break things in, number {number}")});
        let submitted = api.submit("/projects", &key, &body).await?;
        let job: Uuid = submitted.body["job_id"].as_str().context("a project names its first job")?.parse()?;
        api.ledger().accepted(&key, job);
        made.push((submitted.id, job));
    }
    let end = Instant::now() + FIRST;
    for (_, job) in &made {
        while api.look(*job, WAIT).await?["status"] != "completed" {
            ensure!(Instant::now() < end, "the first jobs did not complete within {FIRST:?}");
        }
    }
    Ok(made.into_iter().map(|(project, _)| project).collect())
}

/// What a submitter needs.
#[derive(Clone)]
pub(crate) struct Desk {
    /// The APIs.
    pub(crate) api: Api,
    /// Names the run in keys.
    pub(crate) run: String,
    /// Where to work.
    pub(crate) projects: Vec<Uuid>,
    /// The agent: this program.
    pub(crate) program: PathBuf,
    /// The side log.
    pub(crate) log: PathBuf,
    /// The run's seed.
    pub(crate) seed: u64,
}

/// One client: submits until `over`.
///
/// # Errors
/// A submission is refused: no client should see that.
pub(crate) async fn submit(desk: Desk, number: u64, over: watch::Receiver<bool>) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(desk.seed ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (mut count, mut open) = (0, VecDeque::new());
    while !*over.borrow() {
        count += 1;
        let project = desk.projects[rng.random_range(0..desk.projects.len())];
        let path = format!("/projects/{project}/jobs");
        let key = format!("{}-{number}-{count}", desk.run);
        let body = kinds::some_job(&mut rng, &desk.program, &desk.log);
        let times = if rng.random_range(0..REPEATED) == 0 { 2 } else { 1 };
        let mut job = Uuid::nil();
        for _ in 0..times {
            job = desk.api.submit(&path, &key, &body).await?.id;
            desk.api.ledger().accepted(&key, job);
        }
        if !follow(&desk.api, job, &over).await {
            open.push_back(job);
        }
        while open.len() >= OPEN && !*over.borrow() {
            if follow(&desk.api, open[0], &over).await {
                open.pop_front();
            }
        }
        sleep(Duration::from_millis(rng.random_range(THINK))).await;
    }
    Ok(())
}

/// Whether it ended while it was followed.
async fn follow(api: &Api, job: Uuid, over: &watch::Receiver<bool>) -> bool {
    let end = Instant::now() + FOLLOW;
    while Instant::now() < end && !*over.borrow() {
        match api.look(job, WAIT).await {
            Ok(body) if body["finished_at"].is_string() => return true,
            Ok(_) => {}
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
    false
}
