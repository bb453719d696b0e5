//! `drydock version`

use clap::Args;
use drydock_client::Document;
use serde_json::Value;

use super::Context;
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  drydock version --client")]
pub(super) struct VersionArgs {
    /// Only this program's, without asking the server
    #[arg(long)]
    client: bool,
}

pub(super) async fn run(context: &Context, args: VersionArgs) -> Result<Exit, CliError> {
    let own = drydock_runtime::build_info::VERSION;
    let output = &context.output;
    if args.client {
        return output
            .answer(format!("{{\"version\":\"{own}\"}}").as_bytes(), || format!("drydock {own}"))
            .map(|()| Exit::Ok);
    }
    if !output.is_structured() {
        output.line(&format!("drydock {own}"))?;
    }
    let client = context.client()?;
    let server: Document<Value> = client.get_at_root("version").document().await?;
    let version = server.value["version"].as_str().unwrap_or("of an unknown version");
    output.answer(&server.raw, || format!("server  {version} at {}", client.server()))?;
    Ok(Exit::Ok)
}
