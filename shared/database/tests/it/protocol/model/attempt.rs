//! Workers and their attempts: claim, renew, finish, cancel, reap.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drydock_domain::{JobState, Outcome, Phase};

use super::{Answer, Attempt, NOW, When, Worker, World, word};
use crate::protocol::op::{FAR, GRACE, Label, Start};

/// The byte an attempt's tree is made of.
pub(crate) fn tree_byte(attempt: Label) -> u8 {
    u8::try_from(attempt % 251 + 1).unwrap()
}

/// What a finish reports.
pub(crate) fn summary(attempt: Label) -> String {
    format!("summary of attempt {attempt}")
}

pub(crate) fn detail(attempt: Label) -> String {
    format!("detail of attempt {attempt}")
}

pub(crate) fn instance(number: u8) -> String {
    format!("host-{number}")
}

impl World {
    pub(super) fn start(&mut self, start: &Start) {
        for worker in self.workers.values_mut().filter(|worker| worker.instance == start.instance) {
            worker.ended = true;
        }
        let worker = Worker {
            instance: start.instance,
            pool: start.pool,
            slots: start.slots,
            agents: start.agents,
            gpu: start.gpu,
            isolation: start.isolation,
            draining: false,
            ended: false,
            lease: When::after(FAR),
        };
        self.workers.insert(start.worker, worker);
    }

    pub(super) fn end_expired(&mut self, now: DateTime<Utc>) -> Answer {
        let grace = chrono::Duration::seconds(GRACE);
        let gone = self.workers.values_mut().filter(|worker| !worker.ended && worker.lease.is_past(now - grace));
        Answer::Count(gone.map(|worker| worker.ended = true).count().try_into().unwrap())
    }

    pub(super) fn claim(
        &mut self,
        label: Label,
        older: i32,
        attempt: Label,
        worker: Label,
        now: DateTime<Utc>,
    ) -> Answer {
        if older != 0 || self.jobs.get(&label).is_none_or(|job| job.state != JobState::Dispatched) {
            let mine = self
                .attempts
                .get(&attempt)
                .filter(|attempt| attempt.job == label && attempt.worker == worker && attempt.outcome.is_none());
            return mine.map_or(word("stale"), |attempt| self.claimed(attempt));
        }
        let job = &self.jobs[&label];
        match self.workers.get(&worker).filter(|worker| worker.is_open(now)) {
            None => return word("refused"),
            Some(worker) if !worker.suits(job) => return word("unsuited"),
            Some(_) => {}
        }
        let base = self.projects[&job.project].head();
        let job = self.jobs.get_mut(&label).unwrap();
        (job.state, job.current, job.attempts, job.redispatches) =
            (JobState::Running, Some(attempt), job.attempts + 1, 0);
        if job.started == When::Never {
            job.started = NOW;
        }
        let number = job.attempts;
        let phase = Phase::Materializing;
        let made =
            Attempt { job: label, number, worker, outcome: None, phase, base, detail: None, tree: None, log: None };
        let answer = self.claimed(&made);
        self.attempts.insert(attempt, made);
        self.tell(label, "materializing");
        answer
    }

    fn claimed(&self, attempt: &Attempt) -> Answer {
        let project = &self.projects[&self.jobs[&attempt.job].project];
        let manifest = usize::try_from(attempt.base - 1).ok().map(|place| project.versions[place].0);
        Answer::Claimed(attempt.number, attempt.base, manifest)
    }

    pub(super) fn renew(&mut self, label: Label, told: &[(Label, Phase)]) -> Answer {
        let Some(worker) = self.workers.get_mut(&label).filter(|worker| !worker.ended) else {
            return Answer::Owned(None);
        };
        worker.lease = When::after(FAR);
        for (attempt, phase) in told {
            let Some(attempt) = self
                .attempts
                .get_mut(attempt)
                .filter(|attempt| attempt.worker == label && attempt.outcome.is_none() && attempt.phase != *phase)
            else {
                continue;
            };
            attempt.phase = *phase;
            let (job, number) = (attempt.job, i64::from(attempt.number));
            self.told.push((job, "in_progress".to_owned(), phase.as_str().to_owned(), number));
        }
        let owned: BTreeMap<Label, bool> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.worker == label && attempt.outcome.is_none())
            .map(|(label, attempt)| (*label, self.jobs[&attempt.job].cancel != When::Never))
            .collect();
        Answer::Owned(Some(owned))
    }

    pub(super) fn finish(&mut self, label: Label, attempt: Label, reported: Outcome, tree: bool) -> Answer {
        let Some(known) = self.attempts.get(&attempt).filter(|known| known.job == label) else { return word("fenced") };
        match known.outcome {
            None => {}
            // What an earlier call of this attempt came to, where a cancel or a moved head decided otherwise.
            Some(outcome) if outcome == reported || matches!(outcome, Outcome::Conflict | Outcome::Canceled) => {
                return word("already");
            }
            Some(_) => return word("fenced"),
        }
        let (base, job) = (known.base, &self.jobs[&label]);
        let project = job.project;
        let mut outcome = if job.cancel == When::Never { reported } else { Outcome::Canceled };
        let is_last_failure = matches!(outcome, Outcome::Failed | Outcome::Timeout) && job.failures >= job.retries;
        let mut publishes =
            tree && !job.read_only && (outcome == Outcome::Succeeded || is_last_failure && job.keep_on_error);
        if publishes && self.projects[&project].head() != base {
            (outcome, publishes) = (Outcome::Conflict, false);
        }
        let mut version = None;
        if publishes {
            self.project(project).versions.push((tree_byte(attempt), Some(attempt)));
            version = Some(self.projects[&project].head());
        }
        let ended = self.attempts.get_mut(&attempt).unwrap();
        (ended.outcome, ended.detail) = (Some(outcome), Some(detail(attempt)));
        ended.tree = (tree && !publishes).then(|| tree_byte(attempt));
        let job = self.jobs.get_mut(&label).unwrap();
        (job.version, job.summary) = (version, Some(summary(attempt)));
        (job.output, job.errors) = (None, vec![format!("error of attempt {attempt}")]);
        self.after_attempt(label, outcome, Some(&detail(attempt)));
        word(if outcome == Outcome::Conflict { "conflict" } else { "ok" })
    }

    pub(super) fn cancel(&mut self, tenant: Label, label: Label) -> Answer {
        let Some(job) = self.jobs.get_mut(&label).filter(|job| job.tenant == tenant) else { return word("no_job") };
        let first = job.cancel == When::Never;
        if job.state.is_terminal() {
            return word("final");
        }
        if first {
            (job.cancel, job.cancel_reason) = (NOW, Some(format!("reason {label}")));
        }
        if job.state == JobState::Running {
            if first {
                self.tell(label, "cancelling");
            }
            return word("cancelling");
        }
        job.failure_kind = Some("canceled");
        self.end(label, JobState::Canceled, "cancelled");
        word("canceled")
    }

    pub(super) fn reap(&mut self, attempt: Label, now: DateTime<Utc>) -> Answer {
        let Some(known) = self.attempts.get(&attempt).filter(|known| known.outcome.is_none()) else {
            return word("moved_on");
        };
        let (label, worker) = (known.job, &self.workers[&known.worker]);
        if !worker.ended && !worker.lease.is_past(now - chrono::Duration::seconds(GRACE)) {
            return word("alive");
        }
        let why = format!("worker {} was lost", instance(worker.instance));
        let lost = self.attempts.get_mut(&attempt).unwrap();
        (lost.outcome, lost.detail) = (Some(Outcome::Lost), Some(why.clone()));
        let last_words = lost.log.map(str::to_owned);
        let state = self.after_attempt(label, Outcome::Lost, Some(&why));
        if state == JobState::Dead && last_words.is_some() {
            self.jobs.get_mut(&label).unwrap().output = last_words;
        }
        word(state.as_str())
    }
}
