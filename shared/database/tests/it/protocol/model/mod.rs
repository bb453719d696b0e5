//! The protocol in plain Rust: what each call must answer and what it must leave behind. Written from the rules, not from the
//! SQL, so that a change of either shows. What the database may choose (times, jitter) is taken over from it within bounds.

mod accept;
mod admit;
pub(crate) mod attempt;
mod job;
mod wait;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drydock_domain::{Isolation, JobState, Outcome, Phase};

use super::op::{Label, Op, UNCLAIMED};

/// A time in a row: nothing, known, or of the call just made plus `from..=to` seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Never,
    At(DateTime<Utc>),
    Fresh { from: f64, to: f64 },
}

pub(crate) const NOW: When = When::Fresh { from: 0.0, to: 0.0 };

impl When {
    pub(crate) fn after(seconds: i64) -> Self {
        let seconds = f64::from(i32::try_from(seconds).unwrap());
        Self::Fresh { from: seconds, to: seconds }
    }

    /// A known time; fresh ones become known after each step.
    pub(crate) fn at(self) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            other => panic!("no known time: {other:?}"),
        }
    }

    pub(crate) fn is_past(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Never => false,
            Self::At(at) => at <= now,
            Self::Fresh { to, .. } => to < 0.0,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) weight: i32,
    pub(crate) cap: Option<i32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) tenant: Label,
    pub(crate) pool: &'static str,
    pub(crate) agent: &'static str,
    pub(crate) isolation: Isolation,
    pub(crate) deleted: bool,
    /// One per version, in order: the tree's byte and the attempt that made it.
    pub(crate) versions: Vec<(u8, Option<Label>)>,
}

impl Project {
    pub(crate) fn head(&self) -> i32 {
        i32::try_from(self.versions.len()).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) instance: u8,
    pub(crate) pool: &'static str,
    pub(crate) slots: i32,
    pub(crate) agents: &'static [&'static str],
    pub(crate) gpu: bool,
    pub(crate) isolation: Isolation,
    pub(crate) draining: bool,
    pub(crate) ended: bool,
    pub(crate) lease: When,
}

impl Worker {
    pub(crate) fn is_open(&self, now: DateTime<Utc>) -> bool {
        !self.ended && !self.draining && !self.lease.is_past(now)
    }

    pub(crate) fn suits(&self, job: &Job) -> bool {
        self.pool == job.pool
            && self.isolation >= job.isolation
            && (self.gpu || !job.gpu)
            && (job.command || self.agents.contains(&job.agent))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) tenant: Label,
    pub(crate) project: Label,
    pub(crate) pool: &'static str,
    pub(crate) command: bool,
    pub(crate) agent: &'static str,
    pub(crate) isolation: Isolation,
    pub(crate) gpu: bool,
    pub(crate) priority: i16,
    pub(crate) read_only: bool,
    pub(crate) keep_on_error: bool,
    pub(crate) retries: i16,
    /// Order of acceptance.
    pub(crate) arrival: u32,
    pub(crate) state: JobState,
    pub(crate) seq: i32,
    pub(crate) redispatches: i16,
    pub(crate) current: Option<Label>,
    pub(crate) attempts: i16,
    pub(crate) failures: i16,
    pub(crate) infra: i16,
    pub(crate) conflicts: i16,
    pub(crate) losses: i16,
    pub(crate) unmet: i32,
    pub(crate) backing_off: bool,
    pub(crate) failure_kind: Option<&'static str>,
    pub(crate) version: Option<i32>,
    pub(crate) summary: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) created: When,
    pub(crate) run_at: When,
    pub(crate) queued: When,
    pub(crate) dispatched: When,
    pub(crate) started: When,
    pub(crate) finished: When,
    pub(crate) cancel: When,
    pub(crate) expires: When,
}

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) job: Label,
    pub(crate) number: i16,
    pub(crate) worker: Label,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) phase: Phase,
    pub(crate) base: i32,
    pub(crate) detail: Option<String>,
    /// The byte of a tree that was not published.
    pub(crate) tree: Option<u8>,
    pub(crate) log: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lead {
    pub(crate) holder: Label,
    pub(crate) term: i64,
    pub(crate) expired: bool,
}

/// A status event: job, status, detail, attempt.
pub(crate) type Told = (Label, String, String, i64);

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) tenants: BTreeMap<Label, Tenant>,
    pub(crate) projects: BTreeMap<Label, Project>,
    pub(crate) workers: BTreeMap<Label, Worker>,
    pub(crate) jobs: BTreeMap<Label, Job>,
    pub(crate) attempts: BTreeMap<Label, Attempt>,
    /// (job, the job it needs) → how that one ended.
    pub(crate) edges: BTreeMap<(Label, Label), Option<JobState>>,
    /// (tenant, key) → (body, job).
    pub(crate) keys: BTreeMap<(Label, u8), (u8, Label)>,
    pub(crate) lead: Option<Lead>,
    /// The events of the last step, those of a job in order.
    pub(crate) told: Vec<Told>,
    arrivals: u32,
}

/// An answer of the database, in labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    Word(String),
    /// Tickets, by job: seq, pool, priority.
    Tickets(BTreeMap<Label, (i32, String, u8)>),
    /// Outcome, and the job answered for, of each asked.
    Accepted(Vec<(&'static str, Option<Label>)>),
    Moved([i32; 4]),
    /// Attempt number, base version, base manifest's byte.
    Claimed(i16, i32, Option<u8>),
    /// Attempts owned, and whether to cancel each; `None` when the worker is over.
    Owned(Option<BTreeMap<Label, bool>>),
    Term(Option<i64>),
    Count(i32),
    Flag(bool),
}

pub(crate) type Verdict = Result<(), String>;

/// The answer must be this one.
fn exactly(expected: Answer, actual: &Answer) -> Verdict {
    if expected == *actual { Ok(()) } else { Err(format!("answered {actual:?}, the model says {expected:?}")) }
}

fn word(word: &str) -> Answer {
    Answer::Word(word.to_owned())
}

impl World {
    /// Whether a step would break what callers owe (ids used once, projects that exist), or has no single right answer.
    pub(crate) fn skips(&self, op: &Op, now: DateTime<Utc>) -> bool {
        match op {
            Op::Tenant { tenant, .. } => self.tenants.contains_key(tenant),
            Op::Project { project, tenant, .. } => {
                self.projects.contains_key(project) || !self.tenants.contains_key(tenant)
            }
            Op::Start(start) => self.workers.contains_key(&start.worker),
            Op::Accept { tenant, jobs } => {
                !self.tenants.contains_key(tenant)
                    || jobs.iter().enumerate().any(|(place, ask)| {
                        self.jobs.contains_key(&ask.job) || jobs[..place].iter().any(|other| other.job == ask.job)
                    })
            }
            Op::Claim { job, older, attempt, .. } => {
                self.attempts.contains_key(attempt)
                    && *older == 0
                    && self.jobs.get(job).is_some_and(|job| job.state == JobState::Dispatched)
            }
            Op::EndWaits { batch } => self.is_ambiguous(*batch, now),
            Op::Due { job } => {
                self.jobs.get(job).is_none_or(|job| !job.backing_off && job.state != JobState::Scheduled)
            }
            Op::Expire { job } => self.jobs.get(job).is_none_or(|job| job.expires == When::Never),
            Op::Unclaimed { job, .. } => self.jobs.get(job).is_none_or(|job| job.state != JobState::Dispatched),
            Op::Log { attempt, .. } => self.attempts.get(attempt).is_none_or(|attempt| attempt.log.is_some()),
            Op::Import { project } | Op::Delete { project } => !self.projects.contains_key(project),
            Op::Overdue { worker, .. } => !self.workers.contains_key(worker),
            Op::Renew { told, .. } => told
                .iter()
                .enumerate()
                .any(|(place, (attempt, _))| told[..place].iter().any(|(other, _)| other == attempt)),
            _ => false,
        }
    }

    /// Applies a step that was made at `now` and answered `actual`.
    pub(crate) fn apply(&mut self, op: &Op, actual: &Answer, now: DateTime<Utc>) -> Verdict {
        self.told.clear();
        match op {
            Op::Accept { tenant, jobs } => exactly(self.accept(*tenant, jobs, now), actual),
            Op::EndWaits { batch } => exactly(self.end_waits(*batch, now), actual),
            Op::Admit { lookahead, batch, stale } => self.admit(*lookahead, *batch, *stale, actual, now),
            Op::Redispatch { named, batch, stale } => exactly(self.redispatch(named, *batch, *stale, now), actual),
            Op::Return { job, older, pause } => exactly(self.give_ticket_back(*job, *older, *pause), actual),
            Op::Pull { worker, most } => self.pull(*worker, *most, actual),
            Op::Claim { job, older, attempt, worker } => {
                exactly(self.claim(*job, *older, *attempt, *worker, now), actual)
            }
            Op::Renew { worker, told } => exactly(self.renew(*worker, told), actual),
            Op::Finish { job, attempt, outcome, tree } => exactly(self.finish(*job, *attempt, *outcome, *tree), actual),
            Op::Cancel { tenant, job } => exactly(self.cancel(*tenant, *job), actual),
            Op::Reap { attempt } => exactly(self.reap(*attempt, now), actual),
            Op::Lead { holder } => exactly(self.take_lead(*holder), actual),
            Op::EndExpired => exactly(self.end_expired(now), actual),
            other => {
                self.change(other, now);
                exactly(Answer::Nothing, actual)
            }
        }
    }

    /// What a step does that has no answer: things begin, end, and time passes.
    fn change(&mut self, op: &Op, now: DateTime<Utc>) {
        let ago = |seconds: i64| When::At(now - chrono::Duration::seconds(seconds));
        match op {
            Op::Tenant { tenant, weight, cap } => {
                self.tenants.insert(*tenant, Tenant { weight: *weight, cap: *cap });
            }
            Op::Project { project, tenant, pool, agent, isolation } => {
                let (tenant, isolation, deleted, versions) = (*tenant, *isolation, false, Vec::new());
                self.projects.insert(*project, Project { tenant, pool, agent, isolation, deleted, versions });
            }
            Op::Import { project } => self.project(*project).versions.push((0, None)),
            Op::Delete { project } => self.project(*project).deleted = true,
            Op::Resign { holder } => {
                if let Some(lead) = self.lead.as_mut().filter(|lead| lead.holder == *holder) {
                    lead.expired = true;
                }
            }
            Op::ExpireLead => self.lead.iter_mut().for_each(|lead| lead.expired = true),
            Op::Start(start) => self.start(start),
            Op::Drain { worker } => self.workers.get_mut(worker).into_iter().for_each(|worker| worker.draining = true),
            Op::End { worker } => self.workers.get_mut(worker).into_iter().for_each(|worker| worker.ended = true),
            Op::Overdue { worker, by } => self.workers.get_mut(worker).unwrap().lease = ago(*by),
            Op::Due { job } => self.jobs.get_mut(job).unwrap().run_at = ago(1),
            Op::Expire { job } => self.jobs.get_mut(job).unwrap().expires = ago(1),
            Op::Unclaimed { job, periods } => {
                self.jobs.get_mut(job).unwrap().dispatched = ago(periods * UNCLAIMED + UNCLAIMED / 2);
            }
            Op::Log { attempt, text } => self.attempts.get_mut(attempt).unwrap().log = Some(text),
            other => unreachable!("{other:?} has an answer"),
        }
    }

    fn project(&mut self, project: Label) -> &mut Project {
        self.projects.get_mut(&project).unwrap()
    }

    fn take_lead(&mut self, holder: Label) -> Answer {
        let term = match self.lead {
            None => 1,
            Some(lead) if lead.holder == holder => lead.term,
            Some(lead) if lead.expired => lead.term + 1,
            Some(_) => return Answer::Term(None),
        };
        self.lead = Some(Lead { holder, term, expired: false });
        Answer::Term(Some(term))
    }

    /// Whether the newest term, or the one before, may act.
    fn leads(&self, stale: bool) -> bool {
        !stale && self.lead.is_some_and(|lead| !lead.expired)
    }
}
