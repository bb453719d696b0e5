//! What of a daemon is in the audit log: that it came, and what it ran on somebody's machine in the fleet's name.

use std::net::IpAddr;

use chrono::Utc;
use drydock_database::{
    audit::{Actor as AuditActor, Asked, AuditRecord, AuditResult, Changes, Origin, Outcome},
    workspace::Connect,
};
use drydock_domain::{AttemptId, Digest, ProjectId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::line::End;
use crate::{
    auth::{Actor, Caller},
    state::App,
};

/// Longest command line that is kept whole, in bytes of JSON.
const WHOLE: usize = 900;
/// What is kept of a longer one, in bytes.
const BEGINNING: usize = 120;

/// A command that a daemon tells of.
pub(super) struct Command {
    pub(super) id: Uuid,
    pub(super) attempt: AttemptId,
    pub(super) argv: Vec<String>,
    pub(super) refused: bool,
    pub(super) exit_code: Option<i32>,
    pub(super) detail: Option<String>,
}

/// A daemon came: from now on a project's jobs run on somebody's machine.
pub(super) async fn connected(app: &App, caller: &Caller, daemon: &Connect, ip: Option<IpAddr>) -> Result<(), End> {
    let told = json!({"instance": daemon.instance, "connection": daemon.connection, "build": daemon.build});
    let changes = Changes::to(&told, &["instance", "connection", "build"]);
    let origin = Origin { ip, ..Origin::default() };
    write(app, caller, (Uuid::now_v7(), "workspace.connect", daemon.project), origin, (Outcome::Done, changes)).await
}

/// A daemon ran a command, or refused to. Told twice under one id it is noted once.
pub(super) async fn command(app: &App, caller: &Caller, project: ProjectId, command: Command) -> Result<(), End> {
    let Command { id, attempt, argv, refused, exit_code, detail } = command;
    let outcome = match exit_code {
        _ if refused => Outcome::Refused,
        Some(0) => Outcome::Done,
        _ => Outcome::Failed,
    };
    let detail = detail.as_deref().map(without_nul);
    let told = json!({"argv": kept(&argv), "attempt": attempt, "exit_code": exit_code, "detail": detail});
    let changes = Changes::to(&told, &["argv", "attempt", "exit_code", "detail"]);
    if let Some(rate) = &app.change_rate {
        // It has happened, and is not refused for coming often: whoever tells of it waits.
        rate.wait(caller.tenant).await;
    }
    write(app, caller, (id, "command.run", project), Origin::default(), (outcome, changes)).await
}

async fn write(
    app: &App,
    caller: &Caller,
    (id, action, target): (Uuid, &'static str, ProjectId),
    origin: Origin,
    (outcome, changes): (Outcome, Changes),
) -> Result<(), End> {
    let Actor::Daemon { id: token, .. } = caller.actor else {
        return Err(End::protocol("only a daemon tells of itself"));
    };
    let (tenant_id, actor) = (caller.tenant, AuditActor::Daemon { token });
    let asked = Asked { id, tenant_id, at: Utc::now(), action, actor, target: Some(target.uuid()), origin };
    let result = Some(AuditResult { outcome, status: None, created: None, changes });
    let written = app.audit.write(AuditRecord::Asked { asked, result }).await;
    written.map_err(|_| End::come_back("the audit log cannot be written"))
}

/// The command line; of a long one its beginning, its length and its hash, so that nothing hides behind its length.
fn kept(argv: &[String]) -> Value {
    let argv: Vec<String> = argv.iter().map(|argument| without_nul(argument)).collect();
    let whole = json!(argv);
    let text = whole.to_string();
    if text.len() <= WHOLE {
        return whole;
    }
    let beginning = &text[..text.floor_char_boundary(BEGINNING)];
    format!("{beginning}… {} bytes, blake3 {}", text.len(), &Digest::of(text.as_bytes()).to_string()[..32]).into()
}

/// PostgreSQL's JSON holds no U+0000 (manual, §8.14).
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_kept_whole_or_told_by_its_hash() {
        let line = |argument: &str| vec!["cat".to_owned(), argument.to_owned()];
        assert_eq!(kept(&line("a\0b")), json!(["cat", "a\u{fffd}b"]));
        let long = kept(&line(&"x".repeat(5000)));
        let text = long.as_str().unwrap();
        assert!(text.starts_with("[\"cat\",\"xxx") && text.contains("… 5010 bytes, blake3 "), "{text}");
        assert!(text.chars().count() < 200, "what is kept of a text is no longer");
        assert_ne!(long, kept(&line(&"y".repeat(5000))));
    }
}
