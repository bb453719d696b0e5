//! `drydock tenant ls`

use clap::Args;
use drydock_client::views::Tenant;

use super::super::{Context, Patience, list, list::Paging};
use crate::{
    CliError, Exit,
    output::{Table, standing, time},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock tenant ls
  drydock --json tenant ls | jq -r '.items[].name'

WEIGHT is a tenant's share of the fleet, beside those of the others that want slots.")]
pub(in crate::command) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = || client.get(["tenants"]);
    let table = Table::new(&["TENANT", "NAME", "WEIGHT", "STATE", "CREATED"]);
    let row = |tenant: &Tenant| {
        let (id, name) = (tenant.id.clone(), tenant.name.clone());
        vec![id, name, tenant.weight.to_string(), standing(tenant.disabled_at), time(tenant.created_at)]
    };
    list::show(context, args.paging, call, table, row).await
}
