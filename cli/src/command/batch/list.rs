//! `drydock batch ls`

use clap::Args;
use drydock_client::views::Batch;

use super::{
    super::{Context, Patience, list, list::Paging},
    describe::progress,
};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch ls
  drydock --json batch ls --limit 10")]
pub(in crate::command) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let table = Table::new(&["BATCH", "NAME", "STATUS", "JOBS", "CREATED"]);
    let row = |batch: &Batch| {
        let status = if batch.status == batch.status_detail {
            batch.status.clone()
        } else {
            format!("{} ({})", batch.status, batch.status_detail)
        };
        vec![batch.id.clone(), batch.name.clone(), status, progress(batch), time(batch.created_at)]
    };
    list::show(context, args.paging, || client.get(["batches"]), table, row).await
}
