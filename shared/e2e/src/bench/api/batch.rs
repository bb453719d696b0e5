//! How long a big batch takes to be accepted, and what memory the API has for it.

use anyhow::{Result, ensure};
use reqwest::{Body, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Arguments, Report, Stack};
use crate::bench::{fleet::joined, memory::memory, report::median};

const SECONDS: f64 = 8.0;
const MIB: f64 = 96.0;

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let (mut seconds, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let stack = Stack::start().await?;
        let projects = stack.projects(arguments.projects).await?;
        let lines: String = (0..arguments.lines)
            .map(|n| {
                let instruction = format!("Fix bug {n} of the list, and add a test that fails without the fix");
                let line =
                    json!({"project_id": projects[n % projects.len()], "job_type": "edit", "instruction": instruction});
                format!("{line}\n")
            })
            .collect();
        let batch = stack.post_json("batches", &json!({"name": "a benchmark"}), 201).await?;
        let url = stack.url(&format!("batches/{}/jobs", batch["id"].as_str().unwrap_or_default()));
        let began = Instant::now();
        let request = stack.http.post(url).header(header::CONTENT_TYPE, "application/x-ndjson");
        let answer: Value = request.body(Body::from(lines)).send().await?.error_for_status()?.json().await?;
        seconds.push(began.elapsed().as_secs_f64());
        peaks.push(memory(stack.pid("api")?)?.peak);
        ensure!(answer["accepted"] == arguments.lines && answer["batch"]["closed"] == true, "the answer is {answer}");
        let rows: i64 = stack.sql().await?.query_one("SELECT count(*) FROM job", &[]).await?.get(0);
        ensure!(usize::try_from(rows)? == arguments.lines, "{rows} rows for {} lines", arguments.lines);
    }
    report.line(&format!(
        "batch     {} lines over {} projects in one request: {} s; API holds {} MiB at most",
        arguments.lines,
        arguments.projects,
        joined(&seconds),
        joined(&peaks)
    ));
    report.at_most(&format!("a batch of {} lines accepted", arguments.lines), median(&seconds), SECONDS, "s");
    report.at_most("memory of the API with it", median(&peaks), MIB, "MiB");
    Ok(())
}
