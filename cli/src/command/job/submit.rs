//! `drydock job submit`

use chrono::{DateTime, Utc};
use clap::Args;
use drydock_client::{Client, Document, NewJob, Waited, views::Job};
use tokio::time::Instant;

use super::{
    super::{Context, wait, wait::WaitArgs},
    options::JobOptions,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job submit PROJECT --type edit --instruction \"Add a --count option\" --wait
  drydock submit PROJECT --wait 5m -- cargo test
  drydock job submit PROJECT -i \"Rename the module\" --priority 7 --label team=web --timeout 20m
  drydock job submit PROJECT --depends-on JOB --requires gpu=a100 --queue-timeout 2h -- make train

Writes the job's id. With --wait the exit code is the job's: 0 completed, 1 error, 8 cancelled,
7 not over in time. Here --timeout is the job's own limit; one for this command goes before it:
drydock --timeout 30s job submit …")]
pub(in crate::command) struct SubmitArgs {
    /// The project
    project: String,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    run_at: Option<DateTime<Utc>>,
    /// Not before this job has completed; repeat for several, or with commas
    #[arg(long, value_name = "JOB", value_delimiter = ',')]
    depends_on: Vec<String>,
    #[command(flatten)]
    options: JobOptions,
    #[command(flatten)]
    wait: WaitArgs,
}

impl From<SubmitArgs> for NewJob {
    fn from(args: SubmitArgs) -> Self {
        Self { run_at: args.run_at, depends_on: args.depends_on, ..args.options.into() }
    }
}

pub(in crate::command) async fn run(
    context: &Context,
    args: SubmitArgs,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    let (project, wait) = (args.project.clone(), args.wait);
    let deadline = wait.deadline(deadline);
    let job = client.submit_job(&project, &args.into()).await?;
    accepted(context, &client, job, wait, deadline).await
}

/// Writes the new job's id, after its end if that is wanted.
pub(super) async fn accepted(
    context: &Context,
    client: &Client,
    job: Document<Job>,
    wait: WaitArgs,
    deadline: Option<Instant>,
) -> Result<Exit, CliError> {
    let id = &job.value.id;
    if !wait.wanted() {
        context.output.note(&format!("accepted job {id}; to see it run: drydock job logs {id} -f"));
        return context.output.answer(&job.raw, || id.clone()).map(|()| Exit::Ok);
    }
    context.output.note(&format!("accepted job {id}; waiting for it"));
    let waited = wait::one(context, client, id, deadline).await?;
    context.output.note(&wait::summary(id, &waited));
    match waited {
        Waited::Over(ending, job) => context.output.answer(&job.raw, || id.clone()).map(|()| ending.into()),
        Waited::TimeUp => {
            let now = client.get(["jobs", id.as_str()]).bytes().await?;
            context.output.answer(&now, || id.clone())?;
            context.output.note(&format!("to wait on: drydock job wait {id}"));
            Ok(Exit::TimedOut)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SubmitArgs,
    }

    fn body(line: &str) -> serde_json::Value {
        let args = Line::try_parse_from(["submit"].into_iter().chain(line.split(' '))).unwrap().args;
        serde_json::to_value(NewJob::from(args)).unwrap()
    }

    #[test]
    fn the_body_holds_what_was_given_and_nothing_else() {
        assert_eq!(body("P -- true -x --wait"), json!({"job_type": "command", "argv": ["true", "-x", "--wait"]}));
        assert_eq!(body("P -i do"), json!({"job_type": "edit", "instruction": "do"}));
        assert_eq!(
            body(
                "P --type initial_project -i do --agent a --priority 7 --timeout 20m --retries 2 --label k=v --label l=a=b --read-only --requires gpu=a100 --depends-on A,B --depends-on C --queue-timeout 2h --silence-timeout 500ms --min-isolation vm --run-at 2030-01-01T00:00:00Z"
            ),
            json!({"job_type": "initial_project", "instruction": "do", "agent": "a", "priority": 7, "timeout_s": 1200,
                   "retries": 2, "labels": {"k": "v", "l": "a=b"}, "read_only": true, "requires": {"gpu": "a100"},
                   "depends_on": ["A", "B", "C"], "queue_timeout_s": 7200, "silence_timeout_s": 1, "min_isolation": "vm",
                   "run_at": "2030-01-01T00:00:00Z"})
        );
    }

    #[test]
    fn an_instruction_or_a_command_is_needed() {
        for wrong in
            ["P", "P -i", "P --timeout 0s -i x", "P --label x -i x", "P --requires x -i x", "P --priority 300 -i x"]
        {
            assert!(Line::try_parse_from(["submit"].into_iter().chain(wrong.split(' '))).is_err(), "{wrong}");
        }
    }
}
