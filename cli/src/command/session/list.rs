//! `drydock session ls`

use clap::Args;
use drydock_client::views::Session;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock session ls
  drydock session ls PROJECT --ended")]
pub(in crate::command) struct ListArgs {
    /// Only this project's
    project: Option<String>,
    /// Those that are over as well
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let ended = args.ended.then_some(true);
    let call = || client.get(["sessions"]).query_opt("project_id", args.project.as_ref()).query_opt("ended", ended);
    let table = Table::new(&["SESSION", "SERVER", "STATUS", "ADDRESS", "CREATED", "PROJECT"]);
    let row = |session: &Session| {
        let (id, server, status) = (session.session_id.clone(), session.server.clone(), session.status.clone());
        let address = session.address().unwrap_or_default();
        vec![id, server, status, address, time(session.created_at), session.project_id.clone()]
    };
    list::show(context, args.paging, call, table, row).await
}
