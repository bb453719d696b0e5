//! What open streams cost the API, and whether all of them hear what happens.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use drydock_runtime::tasks;
use futures_util::StreamExt as _;
use tokio::{sync::mpsc, time::timeout};

use super::{Arguments, Report, Stack};
use crate::bench::{memory::memory, report::percentile};

const MIB: f64 = 64.0;
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn phase(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let stack = Stack::start().await?;
    let project = stack.projects(1).await?[0];
    let job = stack.post(project, &["true"]).await?;
    let pid = stack.pid("api")?;
    let before = memory(pid)?.resident;
    let (opened, mut heard) = mpsc::unbounded_channel();
    for _ in 0..arguments.streams {
        let (http, url, tell) = (stack.http.clone(), stack.url(&format!("jobs/{job}/events")), opened.clone());
        tasks::spawn("stream", async move {
            let told = follow(&http, &url, &tell).await;
            let _closed = tell.send(told.map(|()| Heard::End));
        });
    }
    for _ in 0..arguments.streams {
        let first = timeout(PATIENCE, heard.recv()).await?.context("the streams are there")??;
        ensure!(first == Heard::Open, "a stream ended before anything happened");
    }
    let after = memory(pid)?;
    let began = tokio::time::Instant::now();
    stack.post_json(&format!("jobs/{job}/cancel"), &serde_json::json!({}), 200).await?;
    let mut delays = Vec::with_capacity(arguments.streams);
    for _ in 0..arguments.streams {
        let last = timeout(PATIENCE, heard.recv()).await?.context("the streams are there")??;
        ensure!(last == Heard::End, "a stream was opened twice");
        delays.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    delays.sort_by(f64::total_cmp);
    let extra = after.resident - before;
    report.line(&format!(
        "streams   {} open: {extra:.1} MiB beside {before:.1}; an event reaches them in p50 {:.0} ms, the last in {:.0} ms",
        arguments.streams,
        percentile(&delays, 0.5),
        percentile(&delays, 1.0)
    ));
    report.at_most(&format!("memory of {} streams", arguments.streams), extra, MIB, "MiB");
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Open,
    End,
}

/// Tells of the first event, and returns with the end.
async fn follow(http: &reqwest::Client, url: &str, tell: &mpsc::UnboundedSender<Result<Heard>>) -> Result<()> {
    let mut bytes = http.get(url).send().await?.error_for_status()?.bytes_stream();
    let (mut text, mut open) = (String::new(), false);
    while let Some(part) = bytes.next().await {
        text.push_str(std::str::from_utf8(&part?)?);
        if !open && text.contains("event: status\n") {
            open = true;
            let _closed = tell.send(Ok(Heard::Open));
        }
        if text.contains("event: end\n") {
            return Ok(());
        }
    }
    anyhow::bail!("a stream broke off after {text}")
}
