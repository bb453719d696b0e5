//! What the fleet does not know yet, on disk before it is sent, and gone when the fleet has said that it knows it. Of one attempt
//! everything goes in order; its result goes when all else of it is known.

mod attempt;

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use drydock_domain::{
    AttemptId, JobId, Outcome,
    daemon::{DaemonJob, FromDaemon},
};
use tokio::sync::Notify;
use uuid::Uuid;

use self::attempt::Attempt;
pub(crate) use self::attempt::Ended;

/// What tells two unacknowledged frames apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A part of an attempt's log.
    Log(AttemptId, i32),
    /// A command.
    Command(Uuid),
    /// An attempt's result.
    Result(AttemptId),
}

/// The spool of one folder.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    attempts: Mutex<BTreeMap<AttemptId, Attempt>>,
    news: Notify,
    over: Notify,
}

impl Spool {
    /// Reads what an earlier run left.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        fs_err::create_dir_all(&path)?;
        let mut attempts = BTreeMap::new();
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let found = id.map(|id| Attempt::load(entry.path()).map(|found| (id, found)));
            // Half made when the daemon was killed, so never begun; or nothing of ours.
            let Some((id, Some(found))) = found.transpose()? else { continue };
            attempts.insert(id, found);
        }
        Ok(Self { path, attempts: Mutex::new(attempts), news: Notify::new(), over: Notify::new() })
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an attempt in hand; `false` where it is already.
    ///
    /// # Errors
    /// The disk fails: it is not in hand then.
    pub(crate) fn begin(&self, job: &DaemonJob) -> io::Result<bool> {
        let mut attempts = self.attempts();
        if attempts.contains_key(&job.attempt) {
            return Ok(false);
        }
        let begun = Attempt::begin(self.path.join(job.attempt.to_string()), job.clone())?;
        attempts.insert(job.attempt, begun);
        Ok(true)
    }

    /// Attempts in hand: running, or over and not known to be.
    pub(crate) fn in_hand(&self) -> Vec<AttemptId> {
        self.attempts().keys().copied().collect()
    }

    /// Attempts that have no result: of an earlier run, before anything was taken in hand by this one.
    pub(crate) fn unfinished(&self) -> Vec<(DaemonJob, Option<Ended>)> {
        let attempts = self.attempts();
        let open = attempts.values().filter(|attempt| !attempt.has_result());
        open.map(|attempt| (attempt.job().clone(), attempt.ended())).collect()
    }

    /// A directory for what the attempt itself needs, gone with it.
    pub(crate) fn scratch(&self, id: AttemptId) -> PathBuf {
        self.path.join(id.to_string()).join("scratch")
    }

    /// More of a log. Of an attempt that is not in hand any more nothing is kept.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn log(&self, id: AttemptId, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.change(id, |attempt| attempt.log(text))
    }

    /// A command that was carried out, or refused.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn command(&self, id: AttemptId, frame: &FromDaemon) -> io::Result<()> {
        self.change(id, |attempt| attempt.command(frame))
    }

    /// What an attempt came to, before its changes are a version.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn ended(&self, id: AttemptId, ended: &Ended) -> io::Result<()> {
        self.change(id, |attempt| attempt.end(ended))
    }

    /// The result; the last that is told of an attempt.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn result(
        &self,
        id: AttemptId,
        job: JobId,
        outcome: Outcome,
        version: Option<i32>,
        report: serde_json::Value,
    ) -> io::Result<()> {
        let frame = FromDaemon::Result { attempt: id, job, outcome, version, report };
        self.change(id, |attempt| attempt.result(&frame))
    }

    /// Bytes of an attempt's log so far.
    pub(crate) fn log_bytes(&self, id: AttemptId) -> i64 {
        self.attempts().get(&id).map_or(0, Attempt::log_bytes)
    }

    fn change(&self, id: AttemptId, change: impl FnOnce(&mut Attempt) -> io::Result<()>) -> io::Result<()> {
        let outcome = self.attempts().get_mut(&id).map_or(Ok(()), change);
        self.news.notify_one();
        outcome
    }

    /// The fleet knows this now; anything of it may be forgotten.
    pub(crate) fn known(&self, key: Key) {
        let mut attempts = self.attempts();
        match key {
            Key::Log(id, seq) => {
                if let Some(attempt) = attempts.get_mut(&id) {
                    attempt.logged(seq);
                }
            }
            Key::Command(id) => attempts.values_mut().for_each(|attempt| attempt.noted(id)),
            Key::Result(id) => self.remove(&mut attempts, id),
        }
        drop(attempts);
        self.news.notify_one();
    }

    /// The attempt is not ours any more.
    pub(crate) fn forget(&self, id: AttemptId) {
        self.remove(&mut self.attempts(), id);
        self.news.notify_one();
    }

    fn remove(&self, attempts: &mut BTreeMap<AttemptId, Attempt>, id: AttemptId) {
        if let Some(attempt) = attempts.remove(&id) {
            attempt.remove();
        }
        self.over.notify_waiters();
    }

    /// Whether something is still to be told.
    pub(crate) fn holds(&self, key: Key) -> bool {
        let attempts = self.attempts();
        match key {
            Key::Log(id, _) | Key::Result(id) => attempts.get(&id).is_some_and(|attempt| attempt.holds(key)),
            Key::Command(_) => attempts.values().any(|attempt| attempt.holds(key)),
        }
    }

    /// What is to be sent next, of what is not in `sent`: in order within each attempt, at most `most` frames.
    pub(crate) fn next(&self, sent: &HashSet<Key>, most: usize) -> Vec<(Key, FromDaemon)> {
        let attempts = self.attempts();
        let open = attempts.iter().flat_map(|(id, attempt)| attempt.open(*id).map(move |key| (attempt, key)));
        let new = open.filter(|(_, key)| !sent.contains(key)).take(most);
        new.filter_map(|(attempt, key)| Some((key, attempt.frame(key)?))).collect()
    }

    /// Resolves when there may be something to send.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Resolves when nothing is in hand.
    pub(crate) async fn emptied(&self) {
        loop {
            let over = self.over.notified();
            if self.attempts().is_empty() {
                return;
            }
            over.await;
        }
    }
}

#[cfg(test)]
mod tests;
