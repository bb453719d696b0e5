//! The live validation: L01 to L08 against a running stack, with whatever agent it has. Stops at the first failure; evidence
//! stays in any case.

mod checks;
mod evidence;
mod secrets;
mod stack;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use drydock_client::Client;
use drydock_runtime::config::{optional_secret, positive_duration};

use self::{
    checks::{CHECKS, Verdict},
    evidence::Evidence,
    secrets::Secrets,
    stack::Stack,
};

/// Validates a running stack: L01 to L08, in order, evidence in OUT/TIME/live
#[derive(Debug, Parser)]
#[command(
    name = "drydock-live",
    after_help = "Example:\n  drydock-live --base-url http://127.0.0.1:8080 --out live --agent dummy"
)]
pub struct Arguments {
    /// The stack's API
    #[arg(long, env = "DRYDOCK_API_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    base_url: String,
    /// Directory for the evidence; each run makes a directory of its own in it
    #[arg(long, visible_alias = "outroot", default_value = "live", value_name = "DIRECTORY")]
    out: PathBuf,
    /// The agent to validate, instead of the server's default
    #[arg(long)]
    agent: Option<String>,
    /// Longest time one job may take
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = positive_duration)]
    timeout: Duration,
}

/// Runs every check; the error is the first that failed.
///
/// # Errors
/// A check failed, or the evidence cannot be written.
pub async fn run(arguments: Arguments) -> Result<()> {
    let key = optional_secret("DRYDOCK_API_KEY")?;
    let client = Client::new(&arguments.base_url, key.as_ref())?;
    let secrets = Secrets::from_env();
    let evidence = Evidence::create(&arguments.out).await?;
    say(&format!("evidence goes to {}", evidence.root().display()));
    let header =
        format!("server {}\nagent {}\n", client.server(), arguments.agent.as_deref().unwrap_or("(the default)"));
    evidence.summary(&header)?;
    let mut stack = Stack::new(client, secrets, arguments.agent, arguments.timeout);
    for check in &CHECKS {
        let place = evidence.check(check.id)?;
        let outcome =
            (check.run)(&mut stack, &place).await.and_then(|verdict| stack.nothing_leaked().map(|()| verdict));
        let line = match &outcome {
            Ok(Verdict::Passed) => format!("{} passed          {}\n", check.id, check.what),
            Ok(Verdict::NotApplicable) => format!("{} not applicable  {}\n", check.id, check.what),
            Err(error) => format!("{} FAILED          {}: {error:#}\n", check.id, check.what),
        };
        say(line.trim_end());
        evidence.summary(&line)?;
        if let Err(error) = &outcome {
            place.write("notes.txt", format!("{} {}\n{error:#}\n", check.id, check.what))?;
        }
        outcome.with_context(|| format!("{} {} (evidence in {})", check.id, check.what, place.path().display()))?;
    }
    evidence.summary("all passed\n")?;
    say(&format!("all passed; see {}", evidence.root().join("summary.txt").display()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command line program's own words")]
fn say(line: &str) {
    println!("{line}");
}
