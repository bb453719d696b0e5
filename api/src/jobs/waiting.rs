//! Why a job waits, in words: the first thing that holds it, with what is known of it.

use chrono::{DateTime, SecondsFormat, Utc};
use drydock_database::{
    batch::PauseReason,
    job::{Admission, BackOff, Held, Lane, Place, Ready, Unmet, Waiting},
    workspace,
};
use drydock_domain::JobId;
use serde::Serialize;

/// What holds a job that waits.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct WaitingView {
    /// `run_at`, `batch`, `dependencies`, `lane`, `back_off`, `no_worker`, `no_agent`, `no_isolation`, `no_labels`, `tenant_limit`,
    /// `pool_full`, `daemon`, `no_dispatcher`, `admission` or `admitted`; new words may come.
    rule: &'static str,
    /// The same for people.
    message: String,
    /// 1 is the next: in the lane among the project's, otherwise among the tenant's jobs that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<i64>,
    /// `more` where counting stopped at 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<&'static str>,
    /// Seconds until it goes on, where that can be known: from its time, or from how many started of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate_s: Option<i64>,
}

impl WaitingView {
    fn new(rule: &'static str, message: String) -> Self {
        Self { rule, message, position: None, ahead: None, estimate_s: None }
    }

    fn at(mut self, place: Place) -> Self {
        self.position = Some(place.position);
        self.ahead = place.more.then_some("more");
        self
    }

    fn for_seconds(mut self, seconds: f64) -> Self {
        self.estimate_s = Some(whole(seconds));
        self
    }
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting::RunAt(at, due_in_s) if due_in_s > 0.0 => {
                Self::new("run_at", format!("not before {}", time(at))).for_seconds(due_in_s)
            }
            Waiting::RunAt(at, _) => Self::new("run_at", format!("due since {}: it goes on in a moment", time(at))),
            Waiting::Held(held) => Self::new("batch", in_batch(&held)).at(held.place),
            Waiting::Dependencies(unmet) => Self::new("dependencies", dependencies(&unmet)),
            Waiting::Lane(lane) => Self::new("lane", in_lane(&lane)).at(lane.place),
            Waiting::BackOff(pause) => Self::new("back_off", back_off(&pause)).for_seconds(pause.due_in_s),
            Waiting::Ready(ready) => for_fleet(&ready),
            Waiting::Admitted(admission) => Self::new("admitted", admitted(&admission)),
        }
    }
}

fn in_batch(Held { batch, paused, canary, max_running, place }: &Held) -> String {
    let why = match paused {
        Some(PauseReason::Asked) => "is paused".to_owned(),
        Some(PauseReason::Canary) => "is paused: one of its first jobs did not end well".to_owned(),
        Some(PauseReason::FailureRate) => "is paused: too many of its jobs failed".to_owned(),
        Some(PauseReason::Budget) => "is paused: its slot time or its tokens are used up".to_owned(),
        Some(PauseReason::Storage) => "is paused: the tenant's quota of stored bytes is used up".to_owned(),
        None if *canary => "waits for its first jobs to end well".to_owned(),
        None => match max_running {
            Some(most) => format!("has at most {most} jobs under way"),
            None => "lets its jobs go as the fleet takes them".to_owned(),
        },
    };
    format!("its batch {batch} {why}; {} among those it holds", position(*place))
}

fn dependencies(Unmet { jobs, many }: &Unmet) -> String {
    let more = usize::try_from(*many).unwrap_or_default().saturating_sub(jobs.len());
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    match many {
        0 => "the jobs it depends on have completed: it goes on in a moment".to_owned(),
        1 => format!("depends on a job that has not completed: {}", named(jobs)),
        _ => format!("depends on {many} jobs that have not completed: {}{rest}", named(jobs)),
    }
}

fn in_lane(Lane { read_only, holders, place }: &Lane) -> String {
    let held = match holders.first() {
        None => return "its project is free: it goes on in a moment".to_owned(),
        Some(_) if *read_only || holders.len() == 3 => format!("its project has no free place: {}", named(holders)),
        Some(writer) => format!("its project is held by job {}", named(std::slice::from_ref(writer))),
    };
    format!("{held}; {} among those that wait for it", position(*place))
}

fn back_off(BackOff { until, after, .. }: &BackOff) -> String {
    let why = match after {
        None => "a worker handed its ticket back".to_owned(),
        Some((number, outcome, None)) => format!("attempt {number} ended as {outcome}"),
        Some((number, outcome, Some(detail))) => format!("attempt {number} ended as {outcome} ({detail})"),
    };
    format!("not before {}: {why}", time(*until))
}

fn admitted(Admission { since, again }: &Admission) -> String {
    let again = match again {
        0 => String::new(),
        1 => ", sent again once".to_owned(),
        times => format!(", sent again {times} times"),
    };
    format!("its ticket is out since {}{again}, for a worker to take", time(*since))
}

/// Demands first, in the order in which they narrow the fleet down; then limits; then who is before it.
fn for_fleet(ready: &Ready) -> WaitingView {
    let Ready { pool, workers, slots, busy, used, place, .. } = ready;
    if pool == workspace::POOL {
        let text = format!(
            "a daemon holds its project's workspace, and is away, has no room, or lacks what it asks for{}: GET /workspaces/{{id}} tells",
            ready.agent.as_ref().map(|agent| format!(" (agent '{agent}')")).unwrap_or_default()
        );
        return WaitingView::new("daemon", text);
    }
    if let Some(view) = lacking(ready) {
        return view;
    }
    if let Some(most) = ready.max_running.filter(|most| ready.everywhere >= i64::from(*most)) {
        let text = format!("its tenant has {} of the {most} jobs it may run at a time", ready.everywhere);
        return WaitingView::new("tenant_limit", text).at(*place);
    }
    let position = position(*place);
    if busy >= slots {
        let text = format!(
            "pool '{pool}' is full: {busy} of {slots} slots of {} taken, {used} by its tenant, whose share is {}; {position} among its tenant's",
            count(*workers, "worker"),
            share(ready)
        );
        return estimated(WaitingView::new("pool_full", text), ready);
    }
    if !ready.led {
        return WaitingView::new("no_dispatcher", "no dispatcher leads, so nothing is admitted".to_owned()).at(*place);
    }
    let text = format!("pool '{pool}' has room: {busy} of {slots} slots taken; {position} among its tenant's");
    estimated(WaitingView::new("admission", text), ready)
}

/// The first demand that no live worker of the pool meets.
fn lacking(ready: &Ready) -> Option<WaitingView> {
    let Ready { pool, workers, with_agent, with_isolation, suited, min_isolation, .. } = ready;
    let agent = ready.agent.as_deref().unwrap_or_default();
    let those = match &ready.agent {
        Some(agent) => format!("that offers agent '{agent}' "),
        None => String::new(),
    };
    let (rule, text) = match (workers, with_agent, with_isolation, suited) {
        (0, ..) => ("no_worker", format!("pool '{pool}' has no live worker")),
        (_, 0, ..) => ("no_agent", format!("no worker of pool '{pool}' offers agent '{agent}' (of {workers} live)")),
        (_, _, 0, _) => (
            "no_isolation",
            format!(
                "no worker of pool '{pool}' {those}has isolation '{min_isolation}' or better (of {with_agent} live)"
            ),
        ),
        (.., 0) => (
            "no_labels",
            format!(
                "no worker of pool '{pool}' that could run it carries {} (of {with_isolation} live)",
                labels(&ready.requires)
            ),
        ),
        _ => return None,
    };
    Some(WaitingView::new(rule, text))
}

#[expect(clippy::cast_precision_loss, reason = "a position is at most 10,000")]
fn estimated(view: WaitingView, ready: &Ready) -> WaitingView {
    let view = view.at(ready.place);
    match ready.rate.filter(|_| !ready.place.more) {
        Some(rate) => view.for_seconds(ready.place.position as f64 / rate),
        None => view,
    }
}

/// Slots by weight, among those who want some.
#[expect(clippy::cast_precision_loss, reason = "slots and weights are small")]
fn share(ready: &Ready) -> String {
    let part = f64::from(ready.weight) / ready.weights.max(ready.weight.into()) as f64;
    let slots = (part * ready.slots as f64 * 10.0).round() / 10.0;
    format!("{slots}")
}

fn position(place: Place) -> String {
    let beyond = if place.more { " or later" } else { "" };
    format!("position {}{beyond}", place.position)
}

fn count(many: i64, what: &str) -> String {
    if many == 1 { format!("1 {what}") } else { format!("{many} {what}s") }
}

fn named(jobs: &[(JobId, String)]) -> String {
    let jobs: Vec<String> = jobs.iter().map(|(id, detail)| format!("{id} ({detail})")).collect();
    jobs.join(", ")
}

fn labels(object: &serde_json::Value) -> String {
    let pairs = object.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    pairs.join(" and ")
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, beyond any time that matters")]
fn whole(seconds: f64) -> i64 {
    seconds.max(0.0).ceil() as i64
}
