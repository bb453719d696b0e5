//! `drydock-scripted-model`: the scripted model server as a program, for a running stack (`make live`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use drydock_testing::scripted_model::{Script, ScriptedModel};
use fs_err as fs;

/// Serves the Responses API from a script, for agents whose endpoint can be set (`DRYDOCK_CODEX_BASE_URL`).
///
/// Without commands and rules it follows built-in rules: an instruction with "refactor" renames a function, one with "comment" appends a
/// comment to app.py, any other makes the small Fibonacci project.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: String,

    /// File to write `host:port` to once it listens.
    #[arg(long)]
    address_file: Option<PathBuf>,

    /// JSON file with rules: `[{"when": ["word"], "run": ["command"], "say": "last message"}]`.
    #[arg(long)]
    rules: Option<PathBuf>,

    /// Shell commands to ask for, one after the other, whatever the instruction says.
    #[arg(last = true)]
    commands: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let script = script(&arguments)?;
    let model = ScriptedModel::serve(&arguments.address, script)
        .await
        .with_context(|| format!("cannot listen at {}", arguments.address))?;
    if let Some(path) = &arguments.address_file {
        write_whole(path, &model.address().to_string())?;
    }
    model.wait().await.context("the server failed")
}

fn script(arguments: &Arguments) -> Result<Script> {
    match (&arguments.rules, arguments.commands.is_empty()) {
        (Some(_), false) => bail!("give --rules or commands, not both"),
        (Some(path), true) => {
            let rules = serde_json::from_slice(&fs::read(path)?)
                .with_context(|| format!("the rules in {} are malformed", path.display()))?;
            Ok(Script::rules(rules))
        }
        (None, false) => Ok(Script::commands(arguments.commands.clone())),
        (None, true) => Ok(Script::built_in()),
    }
}

/// Under another name first: whoever waits for the file must not read half of it.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)?;
    Ok(())
}
