//! `drydock top`: the fleet at a glance, drawn again every few seconds; as plain text where nobody can look at it.

mod look;
mod screen;

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;
use drydock_runtime::config::positive_duration;

use self::{look::View, screen::Screen};
use super::{Context, Patience};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock top
  drydock top --every 5s --pool gpu
  drydock top --once

Shows slots in use, jobs by state, the jobs that run and the batches under way. q or Ctrl-C ends it. Where it is not
on a terminal, it writes what it sees once.")]
pub(super) struct TopArgs {
    /// Look again after this time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = positive_duration)]
    every: Duration,
    /// Only this pool's workers
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// Write what there is now, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: TopArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let live = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if args.once || !live || context.output.is_structured() {
        let view = View::take(&client, args.pool.as_deref()).await?;
        let document = view.document().to_string();
        return context.output.answer(document.as_bytes(), || view.text()).map(|()| Exit::Ok);
    }
    // Nothing may be written beside the screen.
    let client = client.with_notice(std::sync::Arc::new(|_| {}));
    let mut screen = Screen::open()?;
    let mut text = String::new();
    loop {
        match View::take(&client, args.pool.as_deref()).await {
            Ok(view) => {
                text = view.text();
                screen.draw(&text, "q ends")?;
            }
            Err(error) if error.is_transient() => screen.draw(&text, &format!("{error}; trying again"))?,
            Err(error) => return Err(error.into()),
        }
        if screen.wait(args.every).await? {
            return Ok(Exit::Ok);
        }
    }
}
