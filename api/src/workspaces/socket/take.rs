//! What a daemon says: it is written before it is acknowledged, and what is not acknowledged comes again.

use drydock_database::{
    log_chunk::{self, Body},
    report::Report,
    wake::Channel,
    workspace,
};
use drydock_domain::{
    AttemptId, JobId, Outcome,
    agent::{MAX_RESULT_BYTES, Tokens, is_web_address},
    daemon::{FromDaemon, MAX_LOG, MAX_LOG_BYTES, ToDaemon},
};
use serde_json::Value;

use super::{
    hold::Held,
    line::End,
    note::{self, Command},
};

/// Paths listed per job and kind of change, as workers list them.
const LISTED: usize = 10_000;
/// Bytes of a job's last words, of its detail and of one error; and how many errors.
const TEXT: usize = 4096;
const ERRORS: usize = 100;
/// Bytes of a summary.
const SUMMARY: usize = 64 * 1024;
/// More seconds than anything takes.
const SECONDS: f64 = 1e9;

impl Held<'_> {
    pub(super) async fn take(&mut self, frame: FromDaemon) -> Result<(), End> {
        match frame {
            FromDaemon::Hello { .. } => Err(End::protocol("a hello comes once")),
            FromDaemon::Heartbeat { syncing, phases } => {
                self.phases = phases;
                let found =
                    workspace::seen(&self.client().await?, self.project, self.connection, Some(syncing)).await?;
                self.stands(found).await?;
                self.renew().await
            }
            FromDaemon::Log { attempt, seq, offset, text } => self.log(attempt, seq, offset, &text).await,
            FromDaemon::Command { id, attempt, argv, refused, exit_code, detail } => {
                let command = Command { id, attempt, argv, refused, exit_code, detail };
                note::command(self.app, &self.caller, self.project, command).await?;
                self.line.send(&ToDaemon::Noted { id }).await
            }
            FromDaemon::Result { attempt, job, outcome, version, report } => {
                let report = serde_json::from_value(report);
                let report = report.map_err(|error| End::protocol(format!("no report: {error}")))?;
                self.finish((job, attempt), outcome, report, version).await
            }
            FromDaemon::Bye => Err(End::Bye),
        }
    }

    async fn log(&mut self, attempt: AttemptId, seq: i32, offset: i64, text: &str) -> Result<(), End> {
        if seq < 0 || !(0..MAX_LOG_BYTES).contains(&offset) || text.len() > MAX_LOG {
            let rule = format!("a part of a log has at most {MAX_LOG} bytes, and a place from 0 to {MAX_LOG_BYTES}");
            return Err(End::protocol(rule));
        }
        if !self.in_hand.contains(&attempt) {
            return self.line.send(&ToDaemon::Lost { attempt }).await;
        }
        if !text.is_empty() {
            log_chunk::append(&self.client().await?, attempt, seq, offset, Body::Inline(text.as_bytes())).await?;
            self.app.waker.wake(Channel::Events);
        }
        self.line.send(&ToDaemon::Logged { attempt, seq }).await
    }

    async fn finish(
        &mut self,
        (job, attempt): (JobId, AttemptId),
        outcome: Outcome,
        report: Report,
        version: Option<i32>,
    ) -> Result<(), End> {
        if matches!(outcome, Outcome::Lost | Outcome::Conflict) {
            return Err(End::protocol(format!("'{outcome}' is not for a daemon to say")));
        }
        if self.in_hand.contains(&attempt) {
            let report = bounded(report);
            let answer = workspace::finish(&self.client().await?, (job, attempt), outcome, &report, version).await?;
            tracing::info!(%job, %attempt, %outcome, ?answer, "a daemon's attempt is over");
            self.forget(attempt);
            self.app.waker.wake_all();
        }
        self.line.send(&ToDaemon::Done { attempt }).await?;
        self.hand_over().await
    }
}

/// A report as a worker could have made it: whatever a daemon says, nobody who reads it later is harmed.
fn bounded(mut report: Report) -> Report {
    for list in [&mut report.created_files, &mut report.modified_files, &mut report.deleted_files] {
        list.truncate(LISTED);
    }
    report.errors.truncate(ERRORS);
    let texts = report.errors.iter_mut().chain(&mut report.output).chain(&mut report.detail);
    texts.for_each(|text| text.truncate(text.floor_char_boundary(TEXT)));
    if let Some(summary) = &mut report.summary {
        summary.truncate(summary.floor_char_boundary(SUMMARY));
    }
    for seconds in [&mut report.agent_start_s, &mut report.materialize_s, &mut report.run_s, &mut report.push_s] {
        *seconds = seconds.filter(|seconds| (0.0..SECONDS).contains(seconds));
    }
    let small = |value: &Value| value.to_string().len() <= MAX_RESULT_BYTES;
    report.request = report.request.filter(small);
    report.result = report.result.filter(small);
    report.preview_url = report.preview_url.filter(|url| is_web_address(url));
    report.tokens = report.tokens.map(|tokens| tokens.max(Tokens::default()));
    report
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_held_to_what_workers_say() {
        let report: Report = serde_json::from_value(json!({
            "summary": "s".repeat(100_000), "output": "é".repeat(4000), "detail": "d".repeat(5000), "errors": vec!["e".repeat(5000); 200],
            "created_files": vec!["f"; 20_000], "modified_files": [], "deleted_files": [], "preview_url": "javascript:alert(1)",
            "run_s": 1e300, "push_s": 2.5, "log_bytes": 0, "result": "r".repeat(2_000_000),
            "tokens": {"input_tokens": u64::MAX, "cached_input_tokens": 0, "output_tokens": 7}
        }))
        .unwrap();
        let report = bounded(report);
        assert_eq!((report.summary.unwrap().len(), report.output.unwrap().len()), (SUMMARY, TEXT));
        assert_eq!((report.errors.len(), report.errors[0].len(), report.created_files.len()), (ERRORS, TEXT, LISTED));
        assert_eq!((report.preview_url, report.run_s, report.push_s, report.result), (None, None, Some(2.5), None));
        let tokens = report.tokens.unwrap();
        assert!(tokens.input < 1 << 50 && tokens.output == 7, "{tokens:?}");
    }
}
