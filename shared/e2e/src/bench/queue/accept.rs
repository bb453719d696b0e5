//! How fast jobs are accepted: one by one over HTTP, and in batches into PostgreSQL.

use anyhow::{Result, ensure};
use drydock_database::job::{self, Accepted};
use drydock_domain::TenantId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::{Arguments, Report, Stack};
use crate::bench::{fleet::joined, report::median, stack::command};

const SINGLE_BAR: f64 = 1_500.0;
const BATCH_BAR: f64 = 20_000.0;
const BATCH: usize = 1_000;
const BATCHES: usize = 60;
/// Connections that send batches.
const WRITERS: usize = 2;

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let (mut singles, mut batches) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let stack = Stack::start().await?;
        let projects = stack.projects(arguments.projects).await?;
        // Not counted: connections are made, statements prepared.
        stack.post_all(&projects, 500, arguments.clients).await?;
        let began = Instant::now();
        stack.post_all(&projects, arguments.jobs, arguments.clients).await?;
        singles.push(arguments.jobs as f64 / began.elapsed().as_secs_f64());
        check(&stack, 500 + arguments.jobs).await?;

        let began = Instant::now();
        let writes = (0..BATCHES).map(|_| async {
            let jobs: Vec<_> = (0..BATCH).map(|n| command(projects[n % projects.len()], &["true"])).collect();
            let answers = job::accept_all(&stack.sql().await?, TenantId::DEFAULT, &jobs).await?;
            ensure!(answers.iter().all(|answer| matches!(answer, Accepted::New(_))), "a job of a batch was refused");
            Ok(())
        });
        stream::iter(writes).buffer_unordered(WRITERS).try_for_each(async |()| Ok(())).await?;
        batches.push((BATCH * BATCHES) as f64 / began.elapsed().as_secs_f64());
        check(&stack, 500 + arguments.jobs + BATCH * BATCHES).await?;
    }
    report.line(&format!(
        "accept    {} POSTs over {} projects, {} at once: {} /s; batches of {BATCH} into PostgreSQL: {} jobs/s",
        arguments.jobs,
        arguments.projects,
        arguments.clients,
        joined(&singles),
        joined(&batches)
    ));
    report.at_least("single POSTs accepted", median(&singles), SINGLE_BAR, "/s");
    report.at_least("jobs accepted in batches", median(&batches), BATCH_BAR, "/s");
    Ok(())
}

async fn check(stack: &Stack, expected: usize) -> Result<()> {
    let row = stack.sql().await?.query_one("SELECT count(*) FROM job", &[]).await?;
    ensure!(
        usize::try_from(row.get::<_, i64>(0))? == expected,
        "{} rows for {expected} accepted jobs",
        row.get::<_, i64>(0)
    );
    Ok(())
}
