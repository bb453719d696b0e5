//! What a daemon and the fleet say to each other over their WebSocket: JSON, one frame a message, told apart by `type`. Both sides speak
//! first of who they are; everything after is acknowledged where losing it would matter, so that either side may fall silent at any
//! moment and go on later. Unknown fields are ignored, unknown types are not: see [`PROTOCOL`].

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AttemptId, JobId, JobType, Outcome, Phase, ProjectId};

/// The version of these frames. A daemon of another one is refused, with both numbers.
pub const PROTOCOL: u32 = 1;
/// How often each side says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// A side that was silent for so long is gone.
pub const SILENCE: Duration = Duration::from_secs(90);
/// Jobs at once in one workspace.
pub const SLOTS: i32 = 3;
/// Most bytes of a frame.
pub const MAX_FRAME: usize = 4 << 20;
/// Most bytes of text in a [`FromDaemon::Log`].
pub const MAX_LOG: usize = 32 * 1024;
/// Most bytes of one attempt's log (1 TiB).
pub const MAX_LOG_BYTES: i64 = 1 << 40;
/// Most attempts, and most agents, of a [`FromDaemon::Hello`].
pub const MAX_NAMED: usize = 64;
/// The header with the workspace's id.
pub const WORKSPACE_HEADER: &str = "x-workspace-id";
/// The header with the daemon's token.
pub const TOKEN_HEADER: &str = "x-daemon-token";

/// Codes a connection is closed with (RFC 6455 §7.4.2: 4000 to 4999 are for such use).
pub mod close {
    /// A frame could not be read, or came when it must not.
    pub const PROTOCOL: u16 = 4400;
    /// The token counts no more.
    pub const REVOKED: u16 = 4401;
    /// The project is gone.
    pub const NO_PROJECT: u16 = 4404;
    /// Another connection has taken its place.
    pub const REPLACED: u16 = 4409;
    /// The project asks for more isolation than a daemon gives.
    pub const ISOLATION: u16 = 4412;
}

/// What a daemon says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromDaemon {
    /// First of all: who it is.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The folder's own, kept over restarts: what it has in hand stays its own.
        instance: Uuid,
        /// Its build.
        build: String,
        /// Agents it can run.
        agents: Vec<String>,
        /// Attempts it has in hand: running, or over and not yet told.
        running: Vec<AttemptId>,
    },
    /// It is there.
    Heartbeat {
        /// Whether changes of its folder are on their way.
        #[serde(default)]
        syncing: bool,
        /// What its attempts are at.
        #[serde(default)]
        phases: Vec<(AttemptId, Phase)>,
    },
    /// More of an attempt's log. Answered by [`ToDaemon::Logged`].
    Log {
        /// Whose.
        attempt: AttemptId,
        /// Its place among the parts, from 0.
        seq: i32,
        /// Bytes of log before it.
        offset: i64,
        /// At most [`MAX_LOG`] bytes.
        text: String,
    },
    /// A command was carried out, or refused. Answered by [`ToDaemon::Noted`].
    Command {
        /// Chosen by the daemon: told twice it is noted once.
        id: Uuid,
        /// Whose.
        attempt: AttemptId,
        /// What was to be run.
        argv: Vec<String>,
        /// Whether it was not run at all.
        #[serde(default)]
        refused: bool,
        /// Its exit status; none where it did not run to an end.
        exit_code: Option<i32>,
        /// Why it was refused or ended, where that was not by itself.
        detail: Option<String>,
    },
    /// An attempt is over. Answered by [`ToDaemon::Done`].
    Result {
        /// Which.
        attempt: AttemptId,
        /// Its job.
        job: JobId,
        /// How it ended.
        outcome: Outcome,
        /// The version its changes are in, where it changed anything.
        version: Option<i32>,
        /// A report as workers give it.
        report: serde_json::Value,
    },
    /// It stops, and has nothing in hand: what waits may go elsewhere at once.
    Bye,
}

/// What the fleet says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToDaemon {
    /// The answer to a hello.
    Welcome {
        /// This connection.
        connection: Uuid,
        /// The newest version.
        head: i32,
    },
    /// It is there.
    Heartbeat {
        /// The newest version.
        head: i32,
    },
    /// A job to carry out. One it has in hand already comes again after a reconnect, and is not to be started twice.
    Job(Box<DaemonJob>),
    /// The attempt is to be stopped, and told as cancelled.
    Cancel {
        /// Which.
        attempt: AttemptId,
    },
    /// The attempt is not the daemon's any more: it is to be stopped, and nothing told.
    Lost {
        /// Which.
        attempt: AttemptId,
    },
    /// A part of a log is kept.
    Logged {
        /// Whose.
        attempt: AttemptId,
        /// Which part.
        seq: i32,
    },
    /// A command is noted.
    Noted {
        /// Which.
        id: Uuid,
    },
    /// A result is kept, or nobody wants it any more.
    Done {
        /// Whose.
        attempt: AttemptId,
    },
}

/// A job for a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonJob {
    /// This try, and its fencing token.
    pub attempt: AttemptId,
    /// The job.
    pub job: JobId,
    /// The project.
    pub project: ProjectId,
    /// Number of this try, from 1.
    pub number: u32,
    /// What kind of job it is.
    pub job_type: JobType,
    /// The user's words.
    pub instruction: String,
    /// The command line of a `command` job.
    pub argv: Option<Vec<String>>,
    /// The agent otherwise.
    pub agent: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Longest time it may run, in seconds.
    pub timeout_s: Option<u32>,
    /// Longest time without output, in seconds.
    pub silence_timeout_s: Option<u32>,
    /// It is not meant to change anything.
    pub read_only: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_objects_told_apart_by_type() {
        let heartbeat: FromDaemon = serde_json::from_str(r#"{"type":"heartbeat"}"#).unwrap();
        assert!(matches!(heartbeat, FromDaemon::Heartbeat { syncing: false, phases } if phases.is_empty()));
        let text = serde_json::to_value(ToDaemon::Heartbeat { head: 3 }).unwrap();
        assert_eq!(text, serde_json::json!({"type": "heartbeat", "head": 3}));
        assert!(serde_json::from_str::<FromDaemon>(r#"{"type":"mystery"}"#).is_err());
    }
}
