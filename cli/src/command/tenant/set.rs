//! `drydock tenant set`

use bytesize::ByteSize;
use clap::Args;
use drydock_client::{Document, views::Tenant};
use serde::Serialize;

use super::super::{Context, Patience};
use crate::{CliError, Exit, output::standing};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock tenant set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --weight 3
  drydock tenant set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --max-projects 1000 --max-running 64
  drydock tenant set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --max-queued 5000 --max-held 1000000 --max-storage 200GiB
  drydock tenant set 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90 --disable

What is not given stays. A tenant that is disabled is let in nowhere within seconds, and nothing of it starts; what
runs goes on to its end, what waits is kept.")]
#[group(id = "change", required = true, multiple = true, args = ["name", "weight", "max_projects", "max_running", "max_queued", "max_held", "max_storage", "disable", "enable"])]
pub(in crate::command) struct SetArgs {
    /// The tenant
    tenant: String,
    /// 1 to 64 of A-Z a-z 0-9 . _ -, unique
    #[arg(long)]
    name: Option<String>,
    /// Its share of the fleet, 1 to 1000
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// Most projects it may have; 0 is no quota
    #[arg(long, value_name = "N")]
    max_projects: Option<u32>,
    /// Most slots it holds at once; 0 is no quota
    #[arg(long, value_name = "N")]
    max_running: Option<u32>,
    /// Most jobs of no batch that wait; 0 is no quota
    #[arg(long, value_name = "N")]
    max_queued: Option<u32>,
    /// Most lines that its batches hold; 0 is no quota
    #[arg(long, value_name = "N")]
    max_held: Option<u32>,
    /// Most bytes stored for it, like 200GiB; 0 is no quota
    #[arg(long, value_name = "BYTES")]
    max_storage: Option<ByteSize>,
    /// Let nobody of it in, and start nothing
    #[arg(long)]
    disable: bool,
    /// Let it in and go on
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_projects: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_queued_jobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_held_jobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_storage_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

pub(super) async fn run(context: &Context, args: SetArgs) -> Result<Exit, CliError> {
    let SetArgs { tenant, disable, enable, .. } = args;
    let body = Body {
        name: args.name,
        weight: args.weight,
        max_projects: args.max_projects,
        max_running: args.max_running,
        max_queued_jobs: args.max_queued,
        max_held_jobs: args.max_held,
        max_storage_bytes: args.max_storage.map(|size| size.as_u64()),
        disabled: (disable || enable).then_some(disable),
    };
    let changed: Document<Tenant> = context.client()?.patch(["tenants", &tenant]).json(&body).document().await?;
    let now = &changed.value;
    context.output.note(&format!("changed tenant {tenant}"));
    context
        .output
        .answer(&changed.raw, || format!("{} has weight {}, {}", now.name, now.weight, standing(now.disabled_at)))
        .map(|()| Exit::Ok)
}
