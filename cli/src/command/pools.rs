//! `drydock pools`

use std::time::Duration;

use clap::{Args, Subcommand};
use drydock_client::{
    Document,
    views::{List, Pool},
};

use super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Table, seconds},
};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:
  drydock pools

Without a command: ls."
)]
pub(super) struct PoolsArgs {
    #[command(subcommand)]
    command: Option<PoolsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum PoolsCommand {
    /// List the pools
    #[command(visible_alias = "list")]
    Ls(ListArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock pools ls
  drydock --json pools | jq '.items[] | {name, demand: .jobs.demand_slots}'

LIVE workers take jobs, DRAINING ones run their last or none, LOST ones let their lease run out. BUSY is slots in use of all. QUEUED jobs
wait for a slot, OLDEST says for how long; PENDING ones are behind others of their projects. DEMAND is the slots that would serve all that
can run. Jobs are those the dispatcher last counted, seconds ago.")]
struct ListArgs {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

impl PoolsArgs {
    pub(super) const fn timeout(&self) -> Option<Duration> {
        match &self.command {
            None => self.list.patience.timeout,
            Some(PoolsCommand::Ls(args)) => args.patience.timeout,
        }
    }
}

pub(super) async fn run(context: &Context, args: PoolsArgs) -> Result<Exit, CliError> {
    let args = match args.command {
        None => args.list,
        Some(PoolsCommand::Ls(args)) => args,
    };
    let client = context.client()?;
    let pools: Document<List<Pool>> = client.get(["pools"]).query_opt("pool", args.pool.as_ref()).document().await?;
    let mut table =
        Table::new(&["POOL", "LIVE", "DRAINING", "LOST", "BUSY", "QUEUED", "RUNNING", "PENDING", "DEMAND", "OLDEST"]);
    for Pool { name, workers, slots, jobs, .. } in &pools.value.items {
        let counted = |of: fn(&drydock_client::views::PoolJobs) -> u64| {
            jobs.as_ref().map_or_else(|| "?".to_owned(), |jobs| of(jobs).to_string())
        };
        let waits = jobs.as_ref().filter(|jobs| jobs.oldest_wait_s > 0.0);
        table.row([
            name.clone(),
            workers.live.to_string(),
            (workers.draining + workers.drained).to_string(),
            workers.lost.to_string(),
            format!("{}/{}", slots.busy, slots.total),
            counted(|jobs| jobs.queued + jobs.dispatched),
            counted(|jobs| jobs.running),
            counted(|jobs| jobs.pending),
            counted(|jobs| jobs.demand_slots),
            waits.map(|jobs| seconds(jobs.oldest_wait_s.floor())).unwrap_or_default(),
        ]);
    }
    context.output.answer(&pools.raw, || table.render()).map(|()| Exit::Ok)
}
