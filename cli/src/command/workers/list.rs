//! `drydock workers ls`

use clap::Args;
use drydock_client::{
    Document,
    views::{List, Worker},
};

use super::super::{Context, Patience};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock workers ls
  drydock workers ls --pool gpu
  drydock --json workers | jq -r '.items[] | select(.state == \"lost\") | .instance'

STATE is live, draining (takes no more jobs and runs some), drained (runs none) or lost. BUSY is slots in use of all; TREES the
versions on its node, from which jobs start at once. `drydock doctor` says why a worker makes workspaces in a lesser way.")]
pub(super) struct ListArgs {
    /// Only this pool's
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let fleet: Document<List<Worker>> =
        client.get(["workers"]).query_opt("pool", args.pool.as_ref()).document().await?;
    let mut table =
        Table::new(&["WORKER", "POOL", "STATE", "BUSY", "AGENTS", "ISOLATION", "RUNG", "TREES", "STARTED", "INSTANCE"]);
    for worker in &fleet.value.items {
        table.row([
            worker.id.clone(),
            worker.pool.clone(),
            worker.state.clone(),
            format!("{}/{}", worker.busy, worker.slots),
            worker.agents.join(","),
            worker.isolation.clone(),
            worker.rung.clone(),
            worker.held_trees.to_string(),
            time(worker.started_at),
            worker.instance.clone(),
        ]);
    }
    context.output.answer(&fleet.raw, || table.render()).map(|()| Exit::Ok)
}
