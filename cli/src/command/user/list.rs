//! `drydock user ls`

use clap::Args;
use drydock_client::views::User;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, standing, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock user ls
  drydock --json user ls | jq -r '.items[] | select(.role == \"owner\") | .name'")]
pub(in crate::command) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["users"]);
    let table = Table::new(&["USER", "NAME", "EMAIL", "ROLE", "STATE", "CREATED"]);
    let row = |user: &User| {
        let email = user.email.clone().unwrap_or_default();
        let (id, name, role) = (user.id.clone(), user.name.clone(), user.role.clone());
        vec![id, name, email, role, standing(user.disabled_at), time(user.created_at)]
    };
    list::show(context, args.paging, call, table, row).await
}
