//! The state machine of a job, as a table. Each line is carried out by one stored function (`migrations/`), which checks the
//! predicate again under the job's row lock; the constraints of the schema are the last line behind it.

use crate::JobState;
use JobState::{Canceled, Dead, Dispatched, Failed, Pending, Queued, Running, Scheduled, Succeeded};

/// Who moves a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An API replica, for a user.
    Api,
    /// The dispatcher that leads.
    Leader,
    /// A worker, for an attempt it owns or a ticket it holds.
    Worker,
    /// Whoever ends another job, in the same transaction.
    Settlement,
}

/// One way a job may move.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// Where it comes from; empty: it starts here.
    pub from: &'static [JobState],
    /// Where it goes.
    pub to: JobState,
    /// Who moves it.
    pub by: Actor,
    /// The function that does.
    pub function: &'static str,
    /// What must hold, besides the state, under the row lock.
    pub when: &'static str,
}

const fn line(
    from: &'static [JobState],
    to: JobState,
    by: Actor,
    function: &'static str,
    when: &'static str,
) -> Transition {
    Transition { from, to, by, function, when }
}

/// Every way there is.
pub const TRANSITIONS: &[Transition] = &[
    line(&[], Scheduled, Actor::Api, "dd_accept", "run_at is to come, or a dependency has not ended well"),
    line(&[], Queued, Actor::Api, "dd_accept", "the project has a place for it, and nobody waits for that place"),
    line(&[], Pending, Actor::Api, "dd_accept", "otherwise"),
    line(&[Scheduled], Pending, Actor::Leader, "dd_due", "run_at has come and no dependency is unmet"),
    line(&[Pending], Queued, Actor::Settlement, "dd_promote", "the project has a place; it is the first to have it"),
    line(&[Queued], Dispatched, Actor::Leader, "dd_admit", "not backing off, not cancelled; the leader's term holds"),
    line(&[Dispatched], Dispatched, Actor::Leader, "dd_redispatch", "not confirmed, or unclaimed for too long"),
    line(&[Dispatched], Queued, Actor::Leader, "dd_redispatch", "no live worker suits it"),
    line(&[Dispatched], Queued, Actor::Worker, "dd_return_ticket", "dispatch_seq is the ticket's"),
    line(
        &[Dispatched],
        Running,
        Actor::Worker,
        "dd_claim",
        "dispatch_seq is the ticket's, not cancelled; the worker is live, not draining, and suits it",
    ),
    line(
        &[Queued],
        Running,
        Actor::Api,
        "dd_workspace_claim",
        "a daemon holds its project's workspace by this connection, has room, and suits it",
    ),
    line(
        &[Running],
        Succeeded,
        Actor::Worker,
        "dd_finish",
        "current_attempt is its own; no cancel; the head is its base",
    ),
    line(&[Running], Failed, Actor::Worker, "dd_finish", "current_attempt is its own; its retries are used up"),
    line(&[Running], Queued, Actor::Worker, "dd_finish", "current_attempt is its own; retries or faults are left"),
    line(&[Running], Dead, Actor::Worker, "dd_finish", "current_attempt is its own; 20 infra faults or 5 conflicts"),
    line(&[Running], Canceled, Actor::Worker, "dd_finish", "current_attempt is its own; cancel_at is set"),
    line(&[Running], Queued, Actor::Leader, "dd_reap", "current_attempt is the one taken back; its worker is over"),
    line(&[Running], Dead, Actor::Leader, "dd_reap", "the same, for the third time"),
    line(&[Running], Canceled, Actor::Leader, "dd_reap", "the same; cancel_at is set"),
    line(&[Scheduled, Pending, Queued, Dispatched], Canceled, Actor::Api, "dd_cancel", "it has not ended"),
    line(&[Scheduled, Pending, Queued, Dispatched], Failed, Actor::Leader, "dd_expire", "expires_at has come"),
    line(&[Scheduled], Failed, Actor::Leader, "dd_depend", "a job it depends on ended otherwise than well"),
];

impl JobState {
    /// Whether the table has a way from `from` to here.
    pub fn may_follow(self, from: Self) -> bool {
        TRANSITIONS.iter().any(|way| way.to == self && way.from.contains(&from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_never_reopen() {
        for way in TRANSITIONS {
            assert!(way.from.iter().all(|from| !from.is_terminal()), "{way:?}");
        }
    }

    #[test]
    fn every_state_is_reached_and_every_live_one_is_left() {
        for state in JobState::ALL {
            assert!(TRANSITIONS.iter().any(|way| way.to == *state), "nothing leads to {state}");
            assert_eq!(TRANSITIONS.iter().any(|way| way.from.contains(state)), !state.is_terminal(), "{state}");
        }
    }

    #[test]
    fn every_live_job_can_be_cancelled() {
        for state in JobState::ALL.iter().filter(|state| !state.is_terminal()) {
            assert!(Canceled.may_follow(*state), "{state}");
        }
    }
}
