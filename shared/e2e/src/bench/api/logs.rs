//! From an agent's write to a client that follows the log: each line holds the time it was written.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use drydock_client::sse::Parser;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::{Arguments, Report, Stack};
use crate::bench::report::percentile;

const P99_MS: f64 = 300.0;
/// Between two lines, at odd moments of the log's own period.
const SCRIPT: &str = "for n in $(seq LINES); do echo at $(date +%s%N); sleep 0.0$((17 + n % 30)); done";

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let mut stack = Stack::start().await?;
    let project = stack.projects(1).await?[0];
    stack.start_dispatcher();
    stack.start_worker("worker-1", 2);
    stack.await_workers(1).await;
    let script = SCRIPT.replace("LINES", &arguments.log_lines.to_string());
    let job = stack.post(project, &["bash", "-c", &script]).await?;
    let url = stack.url(&format!("projects/{project}/jobs/{job}/logs/stream"));
    let mut bytes = stack.http.get(url).send().await?.error_for_status()?.bytes_stream();
    let (mut parser, mut log, mut delays) = (Parser::default(), String::new(), Vec::new());
    'stream: while let Some(part) = bytes.next().await {
        let events = parser.feed(&part?).ok().context("an event of the log is too long")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        for event in events {
            if event.name == "end" {
                break 'stream;
            }
            let frame: Value = serde_json::from_str(&event.data)?;
            log.push_str(frame["text"].as_str().context("a frame of the log has a text")?);
            while let Some((line, rest)) = log.split_once('\n') {
                if let Some(written) = line.split_once("at ").and_then(|(_, time)| time.trim().parse::<u128>().ok()) {
                    let micros = now.saturating_sub(written) / 1000;
                    delays.push(f64::from(u32::try_from(micros)?) / 1000.0);
                }
                log = rest.to_owned();
            }
        }
    }
    ensure!(delays.len() == arguments.log_lines, "{} of {} lines arrived", delays.len(), arguments.log_lines);
    delays.sort_by(f64::total_cmp);
    let (p50, p99) = (percentile(&delays, 0.5), percentile(&delays, 0.99));
    report.line(&format!(
        "logs      {} lines, from the agent's write to the client: p50 {p50:.0} ms, p99 {p99:.0} ms",
        delays.len()
    ));
    report.at_most("delay of a log line, p99", p99, P99_MS, "ms");
    Ok(())
}
