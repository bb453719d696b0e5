//! A job as people read it.
use drydock_client::views::{Attempt, Job, Waiting};

use crate::output::{Table, seconds, time};

/// Changed files shown; `--json` has them all.
const FILES: usize = 20;

pub(super) fn describe(job: &Job) -> String {
    let mut table = Table::new(&["job", &job.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("project", job.project_id.clone());
    field("type", job.job_type.clone());
    field("title", job.title.clone());
    field("status", status(job));
    if let Some(waiting) = &job.waiting {
        field("waits", waits(waiting));
    }
    let said = [("reason", &job.cancel_reason), ("summary", &job.summary), ("output", &job.output)];
    for (name, text) in said.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        field(name, text.clone());
    }
    if let Some(retried) = &job.retry_of {
        field("retry of", retried.clone());
    }
    for job in &job.depends_on {
        field("after", job.clone());
    }
    for (name, value) in &job.requires {
        field("requires", format!("{name}={value}"));
    }
    for error in &job.errors {
        field("error", error.clone());
    }
    if let Some(version) = job.version {
        field("version", version.to_string());
    }
    for (name, files) in
        [("created", &job.created_files), ("modified", &job.modified_files), ("deleted", &job.deleted_files)]
    {
        for path in files.iter().take(FILES) {
            field(name, path.clone());
        }
        if let Some(more) = files.len().checked_sub(FILES).filter(|&more| more > 0) {
            field(name, format!("… and {more} more"));
        }
    }
    field("accepted", time(job.created_at));
    if let Some(end) = job.finished_at {
        field("finished", time(end));
    }
    if let Some(phases) = phases(job) {
        field("phases", phases);
    }
    let replay = match job.status_detail.as_deref() {
        Some("dead") => format!("\ngiven up; to run it again: drydock job retry {}\n", job.id),
        _ => String::new(),
    };
    table.render() + &attempts(&job.attempts) + &replay
}

/// `lane: its project is held by …; about 20 s`
fn waits(waiting: &Waiting) -> String {
    let estimate = waiting.estimate_s.map(|time| format!("; about {time} s from now")).unwrap_or_default();
    format!("{}: {}{estimate}", waiting.rule, waiting.message)
}

fn status(job: &Job) -> String {
    match &job.status_detail {
        Some(detail) if *detail != job.status => format!("{} ({detail})", job.status),
        _ => job.status.clone(),
    }
}

fn phases(job: &Job) -> Option<String> {
    let timings = job.timings;
    let phases = [
        ("queue", timings.queue_s),
        ("materialize", timings.materialize_s),
        ("run", timings.run_s),
        ("push", timings.push_s),
    ];
    let known: Vec<String> =
        phases.into_iter().filter_map(|(name, time)| Some(format!("{name} {}", seconds(time?)))).collect();
    if known.is_empty() { None } else { Some(known.join(", ")) }
}

fn attempts(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let mut table =
        Table::new(&["ATTEMPT", "OUTCOME", "WORKER", "ISOLATION", "BASE", "STARTED", "TOOK", "DETAIL"]).whole();
    for attempt in attempts {
        let started = attempt.started_at.map(time).unwrap_or_default();
        let took = attempt.started_at.zip(attempt.finished_at).and_then(|(start, end)| (end - start).to_std().ok());
        table.row([
            attempt.number.to_string(),
            attempt.outcome.clone().unwrap_or_else(|| "running".to_owned()),
            attempt.worker.clone(),
            attempt.isolation.clone().unwrap_or_default(),
            attempt.base_version.map(|version| version.to_string()).unwrap_or_default(),
            started,
            took.map(|took| seconds(took.as_secs_f64())).unwrap_or_default(),
            attempt.detail.clone().unwrap_or_default(),
        ]);
    }
    format!("\n{}", table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_in_lines() {
        let job: Job = serde_json::from_str(
            r#"{"id":"J","project_id":"P","job_type":"edit","title":"Add\u001b[31m it","instruction":"Add it","status":"error",
                "status_detail":"timeout","errors":["it took too long"],"modified_files":["a.py"],"a_new_field":{"x":1},
                "attempts":[{"number":1,"worker":"w-1","workspace_path":"/s","isolation":"none","outcome":"failed","base_version":3,"detail":"exit status 1",
                    "started_at":"2025-11-21T05:20:11Z","finished_at":"2025-11-21T05:20:12.5Z"}],
                "created_at":"2025-11-21T05:20:10Z","finished_at":"2025-11-21T05:20:12.5Z","timings":{"queue_s":0.012,"run_s":1.4}}"#,
        )
        .unwrap();
        let expected = "\
job       J
project   P
type      edit
title     Add [31m it
status    error (timeout)
error     it took too long
modified  a.py
accepted  2025-11-21T05:20:10Z
finished  2025-11-21T05:20:12Z
phases    queue 0.012 s, run 1.400 s

ATTEMPT  OUTCOME  WORKER  ISOLATION  BASE  STARTED               TOOK     DETAIL
1        failed   w-1     none       3     2025-11-21T05:20:11Z  1.500 s  exit status 1
";
        assert_eq!(describe(&job), expected);
    }

    #[test]
    fn what_holds_a_job_and_what_to_do_are_told() {
        let shown = |fields: &str| {
            let job = format!(
                r#"{{"id":"J","project_id":"P","job_type":"edit","title":"T","instruction":"T","created_at":"2025-11-21T05:20:10Z",{fields}}}"#
            );
            describe(&serde_json::from_str(&job).unwrap())
        };
        let waits = shown(
            r#""status":"queued","status_detail":"queued","depends_on":["A"],"requires":{"gpu":"a100"},
               "waiting":{"rule":"pool_full","message":"pool 'p' is full","position":2,"estimate_s":20}"#,
        );
        for line in
            ["waits     pool_full: pool 'p' is full; about 20 s from now\n", "after     A\n", "requires  gpu=a100\n"]
        {
            assert!(waits.contains(line), "{line}: {waits}");
        }
        let dead = shown(
            r#""status":"error","status_detail":"dead","output":"last words","errors":["given up"],"retry_of":"I""#,
        );
        for line in ["status    error (dead)\n", "output    last words\n", "error     given up\n", "retry of  I\n"] {
            assert!(dead.contains(line), "{line}: {dead}");
        }
        assert!(dead.ends_with("\ngiven up; to run it again: drydock job retry J\n"), "{dead}");
    }
}
