//! What a daemon says: it is written before it is acknowledged, and what is not acknowledged comes again.

use chrono::Utc;
use drydock_database::{
    audit::{Actor as AuditActor, Asked, AuditRecord, AuditResult, Changes, Origin, Outcome as AuditOutcome},
    log_chunk::{self, Body},
    report::Report,
    wake::Channel,
    workspace,
};
use drydock_domain::{
    AttemptId, JobId, Outcome,
    daemon::{FromDaemon, MAX_LOG, ToDaemon},
};
use serde_json::json;
use uuid::Uuid;

use super::{hold::Held, line::End};
use crate::auth::Actor;

/// Paths listed per job and kind of change, as workers list them.
const LISTED: usize = 10_000;
/// Bytes of a job's last words.
const OUTPUT: usize = 4096;

impl Held<'_> {
    pub(super) async fn take(&mut self, frame: FromDaemon) -> Result<(), End> {
        match frame {
            FromDaemon::Hello { .. } => Err(End::protocol("a hello comes once")),
            FromDaemon::Heartbeat { syncing, phases } => {
                self.phases = phases;
                let found =
                    workspace::seen(&self.client().await?, self.project, self.connection, Some(syncing)).await?;
                self.stands(found).await?;
                self.hand_over().await
            }
            FromDaemon::Log { attempt, seq, offset, text } => self.log(attempt, seq, offset, &text).await,
            FromDaemon::Command { id, attempt, argv, exit_code, detail } => {
                self.command(id, attempt, argv, exit_code, detail).await
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
        if seq < 0 || offset < 0 || text.len() > MAX_LOG {
            return Err(End::protocol(format!("a part of a log has at most {MAX_LOG} bytes, and no place below 0")));
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

    /// What ran on somebody's machine in the fleet's name is in the audit log, refused or not.
    async fn command(
        &mut self,
        id: Uuid,
        attempt: AttemptId,
        argv: Vec<String>,
        exit_code: Option<i32>,
        detail: Option<String>,
    ) -> Result<(), End> {
        let Actor::Daemon { id: token, .. } = self.caller.actor else {
            return Err(End::protocol("only a daemon tells of commands"));
        };
        let asked = Asked {
            id,
            tenant_id: self.caller.tenant,
            at: Utc::now(),
            action: "command.run",
            actor: AuditActor::Daemon { token },
            target: Some(self.project.uuid()),
            origin: Origin::default(),
        };
        let outcome = match exit_code {
            Some(0) => AuditOutcome::Done,
            Some(_) => AuditOutcome::Failed,
            None => AuditOutcome::Refused,
        };
        let told = json!({"argv": argv, "attempt": attempt, "exit_code": exit_code, "detail": detail});
        let changes = Changes::to(&told, &["argv", "attempt", "exit_code", "detail"]);
        let result = Some(AuditResult { outcome, status: None, created: None, changes });
        let written = self.app.audit.write(AuditRecord::Asked { asked, result }).await;
        written.map_err(|_| End::come_back("the audit log cannot be written"))?;
        self.line.send(&ToDaemon::Noted { id }).await
    }

    async fn finish(
        &mut self,
        (job, attempt): (JobId, AttemptId),
        outcome: Outcome,
        mut report: Report,
        version: Option<i32>,
    ) -> Result<(), End> {
        if self.in_hand.contains(&attempt) {
            for list in [&mut report.created_files, &mut report.modified_files, &mut report.deleted_files] {
                list.truncate(LISTED);
            }
            if let Some(output) = &mut report.output {
                output.truncate(output.floor_char_boundary(OUTPUT));
            }
            let answer = workspace::finish(&self.client().await?, (job, attempt), outcome, &report, version).await?;
            tracing::info!(%job, %attempt, %outcome, ?answer, "a daemon's attempt is over");
            self.forget(attempt);
            self.app.waker.wake_all();
        }
        self.line.send(&ToDaemon::Done { attempt }).await?;
        self.hand_over().await
    }
}
