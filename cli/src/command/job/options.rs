//! What a job may ask for, on the command line and as the API takes it: for jobs submitted now and for those of schedules.

use std::time::Duration;

use clap::Args;
use drydock_client::NewJob;
use drydock_runtime::config::positive_duration;

use super::super::labels::{Labels, pair};

/// The job.
#[derive(Debug, Args)]
pub(in crate::command) struct JobOptions {
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
    /// End the job when it has waited this long for a worker, like 2h
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    queue_timeout: Option<Duration>,
    /// End the job when it has said nothing for this long, like 5m
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    silence_timeout: Option<Duration>,
    /// Repeat it so many times when its agent fails
    #[arg(long, value_name = "N")]
    retries: Option<u8>,
    /// The least isolation to accept, like landlock
    #[arg(long, value_name = "LEVEL")]
    min_isolation: Option<String>,
    /// Only on a worker with this label; repeat for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    requires: Vec<(String, String)>,
    /// Run beside the project's other jobs; what it changes is discarded
    #[arg(long)]
    read_only: bool,
    /// Keep what a failed agent left as a version
    #[arg(long)]
    keep_on_error: bool,
    #[command(flatten)]
    labels: Labels,
    /// A command line to run instead of an agent
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
}

impl From<JobOptions> for NewJob {
    fn from(options: JobOptions) -> Self {
        let implied = if options.argv.is_empty() { "edit" } else { "command" };
        // The API counts whole seconds; less than one is one.
        let seconds = |time: Duration| time.as_secs().max(1);
        Self {
            job_type: options.job_type.unwrap_or_else(|| implied.to_owned()),
            instruction: options.instruction,
            title: options.title,
            argv: options.argv,
            agent: options.agent,
            priority: options.priority,
            timeout_s: options.timeout.map(seconds),
            queue_timeout_s: options.queue_timeout.map(seconds),
            silence_timeout_s: options.silence_timeout.map(seconds),
            retries: options.retries,
            min_isolation: options.min_isolation,
            requires: options.requires.into_iter().collect(),
            read_only: options.read_only,
            keep_on_error: options.keep_on_error,
            labels: options.labels.object(),
            ..Self::default()
        }
    }
}
