//! `drydock context …`: servers by name.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Context;
use crate::{CliError, Exit, contexts::Entry, output::Table};

#[derive(Debug, Subcommand)]
pub(super) enum ContextCommand {
    /// List contexts
    #[command(visible_alias = "list", after_help = "Example:\n  drydock context ls")]
    Ls,
    /// Use another context from now on
    #[command(after_help = "Example:\n  drydock context use staging")]
    Use(OneArgs),
    /// Show a context, the current one by default; never its key
    #[command(after_help = "Example:\n  drydock context show")]
    Show(ShowArgs),
    /// Remove a context with its key, which still counts until it is revoked
    #[command(visible_alias = "remove", after_help = "Example:\n  drydock context rm staging")]
    Rm(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The context
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The context
    name: Option<String>,
}

pub(super) fn run(context: &Context, command: ContextCommand) -> Result<Exit, CliError> {
    let mut contexts = context.connection.contexts()?;
    match command {
        ContextCommand::Ls => list(context)?,
        ContextCommand::Use(args) => {
            contexts.switch(&args.name)?;
            context.output.note(&format!("context '{}' is in use", args.name));
        }
        ContextCommand::Show(args) => {
            let name = args.name.unwrap_or_else(|| context.connection.context_name(&contexts));
            let entry = contexts.get(&name)?;
            let view = view(&name, entry, name == contexts.current());
            context.output.answer(view.to_string().as_bytes(), || format!("{name}: {entry}"))?;
        }
        ContextCommand::Rm(args) => {
            contexts.remove(&args.name)?;
            context.output.note(&format!("removed context '{}'", args.name));
        }
    }
    Ok(Exit::Ok)
}

fn list(context: &Context) -> Result<(), CliError> {
    let contexts = context.connection.contexts()?;
    let mut table = Table::new(&["CONTEXT", "CURRENT", "SERVER", "KEY"]);
    let mut items = Vec::new();
    for (name, entry) in contexts.iter() {
        let current = name == contexts.current();
        let key = entry.prefix().map_or_else(String::new, |prefix| format!("dd_{prefix}_…"));
        let mark = if current { "yes" } else { "" };
        table.row([name.to_owned(), mark.to_owned(), entry.server.clone(), key]);
        items.push(view(name, entry, current));
    }
    context.output.answer(json!({"items": items}).to_string().as_bytes(), || table.render())
}

fn view(name: &str, entry: &Entry, current: bool) -> Value {
    json!({"name": name, "server": entry.server, "key_prefix": entry.prefix(), "current": current})
}
