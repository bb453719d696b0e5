//! A batch as people read it.
use drydock_client::views::Batch;

use crate::output::{Table, seconds, time};

/// `312/1000 done, 3 failed, 8 running; 2 min 05 s to go`
pub(in crate::command) fn progress(batch: &Batch) -> String {
    let counts = &batch.counts;
    let mut text = format!("{}/{} done", counts.completed, batch.total);
    for (count, what) in [(counts.error, "failed"), (counts.cancelled, "cancelled"), (counts.in_progress, "running")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if let Some(eta) = batch.eta_s.filter(|_| !is_over(batch)) {
        text.push_str(&format!("; {} to go", about(eta)));
    }
    text
}

/// `paused: …`, and what to do.
pub(super) fn pause(batch: &Batch) -> Option<String> {
    let id = &batch.id;
    let why = match batch.pause_reason.as_deref()? {
        "asked" => return Some(format!("paused; `drydock batch resume {id}` goes on")),
        "canary" => "one of its first jobs did not end well",
        "failure_rate" => "too many of its jobs failed",
        "budget" => {
            let (what, flag) = if is_out_of_tokens(batch) {
                ("tokens are", "--budget-tokens")
            } else {
                ("slot time is", "--budget-slot-minutes")
            };
            return Some(format!(
                "paused: its {what} used up; raise the budget with `drydock batch set {id} {flag} N`, then `drydock batch \
                 resume {id}`"
            ));
        }
        "storage" => {
            return Some(format!(
                "paused: the tenant's quota of stored bytes is used up; delete projects or have it raised, then `drydock \
                 batch resume {id}`"
            ));
        }
        other => other,
    };
    Some(format!(
        "paused: {why}; see `drydock batch failures {id}`, then `drydock batch resume {id}` or `drydock batch cancel {id}`"
    ))
}

pub(in crate::command) fn is_over(batch: &Batch) -> bool {
    matches!(batch.status.as_str(), "completed" | "error" | "cancelled")
}

fn about(eta_s: i64) -> String {
    let whole = u32::try_from(eta_s.max(0)).unwrap_or(u32::MAX);
    if whole < 120 { format!("{whole} s") } else { seconds(f64::from(whole)) }
}

pub(super) fn describe(batch: &Batch) -> String {
    let mut table = Table::new(&["batch", &batch.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("name", batch.name.clone());
    field("status", format!("{} ({})", batch.status, batch.status_detail));
    field("jobs", progress(batch));
    if batch.held > 0 {
        field("held", format!("{} not let go yet", batch.held));
    }
    if let Some(pause) = pause(batch) {
        field("pause", pause);
    }
    if let Some(reason) = &batch.cancel_reason {
        field("cancelled", reason.clone());
    }
    for (name, value) in [
        ("canary", batch.canary.map(|n| format!("the first {n}"))),
        ("max running", batch.max_running.map(|n| n.to_string())),
        ("max failures", batch.max_failure_rate.map(|rate| format!("{}%", (rate * 1e4).round() / 100.0))),
        ("slot time", Some(slot_time(batch))),
        ("tokens", tokens(batch)),
        ("rate", batch.rate_per_s.map(|rate| format!("{rate} a second"))),
        ("created", Some(time(batch.created_at))),
        ("started", batch.started_at.map(time)),
        ("finished", batch.finished_at.map(time)),
    ] {
        if let Some(value) = value {
            field(name, value);
        }
    }
    for (name, value) in &batch.labels {
        field("label", format!("{name}={value}"));
    }
    if !batch.closed {
        field("open", "takes further lines".to_owned());
    }
    table.render()
}

const fn used_tokens(batch: &Batch) -> u64 {
    batch.tokens.input.saturating_add(batch.tokens.output)
}

fn is_out_of_tokens(batch: &Batch) -> bool {
    batch.budget_tokens.is_some_and(|budget| used_tokens(batch) >= budget)
}

fn tokens(batch: &Batch) -> Option<String> {
    let used = used_tokens(batch);
    let Some(budget) = batch.budget_tokens else {
        return (used > 0).then(|| used.to_string());
    };
    Some(format!("{used} of {budget}"))
}

fn slot_time(batch: &Batch) -> String {
    let used = format!("{:.2} min", batch.slot_minutes);
    batch.budget_slot_minutes.map_or_else(|| used.clone(), |budget| format!("{used} of {budget} min"))
}
