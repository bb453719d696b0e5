//! What the jobs run: this same program, as an agent that tells the side log of its life and appends its job to `effects.txt`.

use std::{io::Write as _, path::PathBuf, process::ExitCode, thread, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use super::{
    clock::now,
    side_log::{self, Event, Line},
};

/// Where a job leaves its mark, in its workspace.
pub(crate) const EFFECTS: &str = "effects.txt";
/// Time between two signs of life.
pub(crate) const BEAT: Duration = Duration::from_millis(100);

/// Works for a while in the current directory
#[derive(Debug, Args)]
pub struct Work {
    /// The side log
    #[arg(long)]
    log: PathBuf,
    /// Milliseconds of work
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
    /// Fails in its first attempts
    #[arg(long, default_value_t = 0)]
    failures: i16,
}

/// One run of the agent.
///
/// # Errors
/// The request or the side log cannot be used.
#[expect(clippy::disallowed_methods, reason = "the attempt's mark reaches the agent by its environment")]
pub fn work(work: &Work) -> Result<ExitCode> {
    let request: Value = serde_json::from_slice(&fs_err::read(".codex/request.json")?)?;
    let job: Uuid = request["job_id"].as_str().context("the request names its job")?.parse()?;
    let number = i16::try_from(request["attempt"].as_i64().context("the request numbers its attempt")?)?;
    let attempt: Uuid = std::env::var("DRYDOCK_ATTEMPT_ID").context("DRYDOCK_ATTEMPT_ID")?.parse()?;
    let tell =
        |event| side_log::append(&work.log, &Line { job, attempt, number, event, at: now(), pid: std::process::id() });
    tell(Event::Start)?;
    let end = now() + work.work_ms;
    while now() < end {
        thread::sleep(BEAT.min(Duration::from_millis(end - now().min(end))));
        tell(Event::Beat)?;
    }
    if number <= work.failures {
        return Ok(ExitCode::from(3));
    }
    let mut effects = std::fs::File::options().create(true).append(true).open(EFFECTS)?;
    effects.write_all(format!("{job}\n").as_bytes())?;
    tell(Event::Effect)?;
    Ok(ExitCode::SUCCESS)
}
