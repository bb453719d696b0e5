//! `drydock project create`

use clap::Args;
use drydock_client::{Client, NewProject, Waited, views::Created};
use tokio::time::Instant;

use super::super::{Context, Patience, labels::Labels, wait, wait::WaitArgs};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project create \"Print the first ten Fibonacci numbers\"
  drydock project create --instruction \"A to-do list as a web page\" --agent codex --wait 10m

Writes the project's id. With --wait the exit code is the job's: 0 completed, 1 error, 8 cancelled,
7 not over in time.")]
pub(in crate::command) struct CreateArgs {
    /// What to build, 5 to 2,000 characters
    #[arg(value_name = "INSTRUCTION", required_unless_present = "instruction", conflicts_with = "instruction")]
    text: Option<String>,
    /// The same as a flag
    #[arg(short, long, value_name = "TEXT")]
    instruction: Option<String>,
    /// The agent, instead of the server's default
    #[arg(long)]
    agent: Option<String>,
    /// The pool of workers, instead of the server's default
    #[arg(long)]
    pool: Option<String>,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: CreateArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let deadline = args.wait.deadline(deadline);
    let wanted = NewProject {
        instruction: args.text.or(args.instruction).unwrap_or_default(),
        agent: args.agent,
        pool: args.pool,
        labels: args.labels.object(),
    };
    let project = client.create_project(&wanted).await?;
    let Created { id, job_id } = &project.value;
    if !args.wait.wanted() {
        context.output.note(&format!("created project {id}; its first job is {job_id}"));
        context.output.answer(&project.raw, || id.clone())?;
        return Ok(Exit::Ok);
    }
    context.output.note(&format!("created project {id}; waiting for its job {job_id}"));
    finish(context, &client, id, job_id, deadline).await
}

async fn finish(
    context: &Context,
    client: &Client,
    id: &str,
    job: &str,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    let waited = wait::one(context, client, job, deadline).await?;
    context.output.note(&wait::summary(job, &waited));
    // Shown again as it stands now.
    let project = client.project(id).await?;
    context.output.answer(&project.raw, || id.to_owned())?;
    match waited {
        Waited::Over(ending, _) => Ok(ending.into()),
        Waited::TimeUp => {
            context.output.note(&format!("to wait on: drydock job wait {job}"));
            Ok(Exit::TimedOut)
        }
    }
}
