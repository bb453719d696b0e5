//! A job's log on its way into the spool: lines are gathered for a moment, so that a flood of them is few parts.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use drydock_domain::{AttemptId, daemon::MAX_LOG};

use super::super::{events::Events, spool::Spool};

/// How long lines are gathered.
const GATHERED: Duration = Duration::from_millis(100);

/// The log of one attempt.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    spool: &'a Spool,
    events: &'a Events,
    attempt: AttemptId,
    gathered: Mutex<String>,
}

impl<'a> Log<'a> {
    /// Of this attempt.
    pub(crate) fn new(spool: &'a Spool, events: &'a Events, attempt: AttemptId) -> Self {
        Self { spool, events, attempt, gathered: Mutex::default() }
    }

    /// One line. What is no text is made such.
    pub(crate) fn line(&self, line: impl AsRef<[u8]>) {
        let line = String::from_utf8_lossy(line.as_ref()).replace('\0', "\u{fffd}");
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if !gathered.is_empty() && gathered.len() + line.len() >= MAX_LOG {
            self.keep(&mut gathered);
        }
        gathered.push_str(&line);
        gathered.push('\n');
    }

    /// Keeps what is gathered.
    pub(crate) fn flush(&self) {
        self.keep(&mut self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Does so again and again while `work` goes on, and once at its end.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let flushing = async {
            loop {
                tokio::time::sleep(GATHERED).await;
                self.flush();
            }
        };
        let done = tokio::select! {
            done = work => done,
            never = flushing => never,
        };
        self.flush();
        done
    }

    fn keep(&self, gathered: &mut String) {
        if let Err(error) = self.spool.log(self.attempt, gathered) {
            self.events.once(&format!("parts of a job's log are lost: {error}"));
        }
        gathered.clear();
    }
}
