//! `drydock job submit`

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use drydock_runtime::config::positive_duration;
use serde::Serialize;
use tokio::time::Instant;

use super::super::{Context, labels::Labels, wait, wait::WaitArgs};
use crate::{
    CliError, Exit,
    client::{Document, Waited, views::Job},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job submit PROJECT --type edit --instruction \"Add a --count option\" --wait
  drydock job submit PROJECT --wait 5m -- cargo test
  drydock job submit PROJECT -i \"Rename the module\" --priority 7 --label team=web --timeout 20m

Writes the job's id. With --wait the exit code is the job's: 0 completed, 1 error, 8 cancelled,
7 not over in time. Here --timeout is the job's own limit; one for this command goes before it:
drydock --timeout 30s job submit …")]
pub(in crate::command) struct SubmitArgs {
    /// The project
    project: String,
    /// What kind of job: `initial_project`, edit or command; edit, unless there is a command line
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
    /// What to do, 1 to 2,000 characters
    #[arg(short, long, value_name = "TEXT", required_unless_present = "argv")]
    instruction: Option<String>,
    /// A title for lists, instead of the instruction's first line
    #[arg(long)]
    title: Option<String>,
    /// The agent, instead of the project's
    #[arg(long)]
    agent: Option<String>,
    /// 0 to 9; higher goes first
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// End the job when it has run this long, like 20m
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    timeout: Option<Duration>,
    /// Repeat it so many times when its agent fails
    #[arg(long, value_name = "N")]
    retries: Option<u8>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "WHEN")]
    run_at: Option<DateTime<Utc>>,
    /// Run beside the project's other jobs; what it changes is discarded
    #[arg(long)]
    read_only: bool,
    /// Keep what a failed agent left as a version
    #[arg(long)]
    keep_on_error: bool,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    wait: WaitArgs,
    /// A command line to run instead of an agent
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Body {
    job_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    argv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_on_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
}

impl From<SubmitArgs> for Body {
    fn from(args: SubmitArgs) -> Self {
        let implied = if args.argv.is_empty() { "edit" } else { "command" };
        Self {
            job_type: args.job_type.unwrap_or_else(|| implied.to_owned()),
            instruction: args.instruction,
            title: args.title,
            argv: args.argv,
            agent: args.agent,
            priority: args.priority,
            // The API counts whole seconds; less than one is one.
            timeout_s: args.timeout.map(|time| time.as_secs().max(1)),
            retries: args.retries,
            run_at: args.run_at,
            read_only: args.read_only,
            keep_on_error: args.keep_on_error,
            labels: args.labels.object(),
        }
    }
}

pub(super) async fn run(context: &Context, args: SubmitArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let (project, wait) = (args.project.clone(), args.wait);
    let deadline = wait.deadline(deadline);
    let body = Body::from(args);
    let job: Document<Job> = client.post(["projects", &project, "jobs"]).json(&body).idempotent().document().await?;
    let id = &job.value.id;
    if !wait.wanted() {
        context.output.note(&format!("accepted job {id}; to see it run: drydock job logs {id} -f"));
        return context.output.answer(&job.raw, || id.clone()).map(|()| Exit::Ok);
    }
    context.output.note(&format!("accepted job {id}; waiting for it"));
    let waited = wait::one(context, &client, id, deadline).await?;
    context.output.note(&wait::summary(id, &waited));
    match waited {
        Waited::Over(exit, job) => context.output.answer(&job.raw, || id.clone()).map(|()| exit),
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
        serde_json::to_value(Body::from(args)).unwrap()
    }

    #[test]
    fn the_body_holds_what_was_given_and_nothing_else() {
        assert_eq!(body("P -- true -x --wait"), json!({"job_type": "command", "argv": ["true", "-x", "--wait"]}));
        assert_eq!(body("P -i do"), json!({"job_type": "edit", "instruction": "do"}));
        assert_eq!(
            body(
                "P --type initial_project -i do --agent a --priority 7 --timeout 20m --retries 2 --label k=v --label l=a=b --read-only"
            ),
            json!({"job_type": "initial_project", "instruction": "do", "agent": "a", "priority": 7, "timeout_s": 1200,
                   "retries": 2, "labels": {"k": "v", "l": "a=b"}, "read_only": true})
        );
    }

    #[test]
    fn an_instruction_or_a_command_is_needed() {
        for wrong in ["P", "P -i", "P --timeout 0s -i x", "P --label x -i x", "P --priority 300 -i x"] {
            assert!(Line::try_parse_from(["submit"].into_iter().chain(wrong.split(' '))).is_err(), "{wrong}");
        }
    }
}
