//! What a daemon tells: people on standard error, programs an object a line on standard output (`--output ndjson`).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use drydock_domain::{AttemptId, JobId, Outcome};
use serde_json::{Value, json};

use crate::output::{Format, Output};

/// Where it is told.
#[derive(Debug)]
pub(crate) struct Events {
    output: Arc<Output>,
    told: Mutex<HashSet<String>>,
}

impl Events {
    /// To this output.
    pub(crate) fn new(output: Arc<Output>) -> Self {
        Self { output, told: Mutex::default() }
    }

    /// Something that should be known in any case.
    pub(crate) fn warn(&self, text: &str) {
        self.output.warn(text);
    }

    /// The same, however often it happens.
    pub(crate) fn once(&self, text: &str) {
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()) {
            self.warn(text);
        }
    }

    /// There is a connection.
    pub(crate) fn connected(&self, server: &str, head: i32) {
        let event = json!({"event": "connected", "server": server, "head": head});
        self.tell(&event, &format!("connected to {server}, newest version {head}"));
    }

    /// There is none any more.
    pub(crate) fn disconnected(&self, reason: &str) {
        self.tell(
            &json!({"event": "disconnected", "reason": reason}),
            &format!("disconnected: {reason}; reconnecting"),
        );
    }

    /// There was none for long.
    pub(crate) fn connection_failed(&self, failures: u32, reason: &str) {
        self.object(&json!({"event": "connection-failed", "failures": failures, "reason": reason}));
        self.warn(&format!("connection-failed: {failures} tries in a row, the last one: {reason}; going on trying"));
    }

    /// The folder is like this version.
    pub(crate) fn synced(&self, version: u64) {
        self.tell(&json!({"event": "synced", "version": version}), &format!("in step with version {version}"));
    }

    /// A job began.
    pub(crate) fn job_started(&self, job: JobId, attempt: AttemptId) {
        self.tell(&json!({"event": "job-started", "job": job, "attempt": attempt}), &format!("job {job} started"));
    }

    /// A job is over.
    pub(crate) fn job_finished(&self, job: JobId, attempt: AttemptId, outcome: Outcome) {
        let event = json!({"event": "job-finished", "job": job, "attempt": attempt, "outcome": outcome});
        self.tell(&event, &format!("job {job} finished: {outcome}"));
    }

    fn tell(&self, event: &Value, text: &str) {
        self.object(event);
        self.output.note(text);
    }

    fn object(&self, event: &Value) {
        if self.output.format() == Format::Ndjson {
            // Nobody reads it: the daemon has more to do than to tell.
            let _gone = self.output.line(&event.to_string());
        }
    }
}
