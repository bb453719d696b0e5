//! One step against the protocol. Everything is named by a small label, so that steps can be left out of a list and the rest
//! still means the same; a step whose labels mean nothing is skipped.

use drydock_domain::{Isolation, Outcome, Phase};
use uuid::Uuid;

pub(crate) type Label = u16;

/// What a label stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tenant,
    Project,
    Job,
    Attempt,
    Worker,
    Holder,
}

/// The id of a label: random-looking, so that nothing depends on ids being in order, and the same in every run.
pub(crate) fn id(kind: Kind, label: Label) -> Uuid {
    let mut words = super::random::Random::new((kind as u64) << 32 | u64::from(label));
    Uuid::from_u64_pair(words.next(), words.next())
}

/// The period after which a ticket counts as unclaimed, seconds.
pub(crate) const UNCLAIMED: i64 = 60;
/// The reaper's grace, seconds.
pub(crate) const GRACE: i64 = 60;
/// Longer than any test.
pub(crate) const FAR: i64 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunAt {
    Past,
    Future,
}

/// A job asked for.
#[derive(Clone, PartialEq)]
pub(crate) struct Ask {
    pub(crate) job: Label,
    pub(crate) project: Label,
    pub(crate) command: bool,
    pub(crate) agent: Option<&'static str>,
    pub(crate) priority: i16,
    pub(crate) read_only: bool,
    pub(crate) keep_on_error: bool,
    pub(crate) retries: i16,
    pub(crate) isolation: Isolation,
    pub(crate) gpu: bool,
    pub(crate) run_at: Option<RunAt>,
    pub(crate) queue_timeout: bool,
    pub(crate) needs: Vec<Label>,
    /// Idempotency key, and what stands for the body.
    pub(crate) key: Option<(u8, u8)>,
}

/// A writer that asks for nothing special.
pub(crate) const fn ask(job: Label, project: Label) -> Ask {
    Ask {
        job,
        project,
        command: false,
        agent: None,
        priority: 0,
        read_only: false,
        keep_on_error: false,
        retries: 0,
        isolation: Isolation::None,
        gpu: false,
        run_at: None,
        queue_timeout: false,
        needs: Vec::new(),
        key: None,
    }
}

/// Only what it asks for specially.
impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = ask(self.job, self.project);
        write!(f, "{}@{}", self.job, self.project)?;
        let flags = [
            (self.command, "command"),
            (self.read_only, "read_only"),
            (self.keep_on_error, "keep_on_error"),
            (self.gpu, "gpu"),
            (self.queue_timeout, "queue_timeout"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| write!(f, " {name}"))?;
        if (self.agent, self.priority, self.retries) != (plain.agent, plain.priority, plain.retries) {
            write!(f, " agent {:?} priority {} retries {}", self.agent, self.priority, self.retries)?;
        }
        if self.isolation != plain.isolation {
            write!(f, " {}", self.isolation)?;
        }
        self.run_at.iter().try_for_each(|run_at| write!(f, " {run_at:?}"))?;
        self.key.iter().try_for_each(|key| write!(f, " key {key:?}"))?;
        if self.needs.is_empty() { Ok(()) } else { write!(f, " needs {:?}", self.needs) }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) worker: Label,
    pub(crate) instance: u8,
    pub(crate) pool: &'static str,
    pub(crate) slots: i32,
    pub(crate) agents: &'static [&'static str],
    pub(crate) gpu: bool,
    pub(crate) isolation: Isolation,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Tenant {
        tenant: Label,
        weight: i32,
        cap: Option<i32>,
    },
    Project {
        project: Label,
        tenant: Label,
        pool: &'static str,
        agent: &'static str,
        isolation: Isolation,
    },
    /// Takes or keeps the lead; later steps use the newest term.
    Lead {
        holder: Label,
    },
    Resign {
        holder: Label,
    },
    ExpireLead,
    Start(Start),
    Drain {
        worker: Label,
    },
    End {
        worker: Label,
    },
    /// The lease ended so many seconds ago.
    Overdue {
        worker: Label,
        by: i64,
    },
    EndExpired,
    Accept {
        tenant: Label,
        jobs: Vec<Ask>,
    },
    EndWaits {
        batch: i32,
    },
    /// Its time (or back-off) is over.
    Due {
        job: Label,
    },
    /// Its queue timeout is over.
    Expire {
        job: Label,
    },
    /// `stale` acts with the term before.
    Admit {
        lookahead: i32,
        batch: i32,
        stale: bool,
    },
    /// The ticket went out that many unclaimed periods ago, and a half.
    Unclaimed {
        job: Label,
        periods: i64,
    },
    Redispatch {
        named: Vec<Label>,
        batch: i32,
        stale: bool,
    },
    Return {
        job: Label,
        older: i32,
        pause: bool,
    },
    Pull {
        worker: Label,
        most: i32,
    },
    /// `older` is how much older than the newest the ticket is.
    Claim {
        job: Label,
        older: i32,
        attempt: Label,
        worker: Label,
    },
    Renew {
        worker: Label,
        told: Vec<(Label, Phase)>,
    },
    Log {
        attempt: Label,
        text: &'static str,
    },
    Finish {
        job: Label,
        attempt: Label,
        outcome: Outcome,
        tree: bool,
    },
    Cancel {
        tenant: Label,
        job: Label,
    },
    Reap {
        attempt: Label,
    },
    /// Somebody else makes a version.
    Import {
        project: Label,
    },
    Delete {
        project: Label,
    },
}
