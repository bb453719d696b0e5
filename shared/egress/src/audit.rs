//! `Audit`: each request is a line of the job's log, up to a number, and then counted in one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::{
    meter::Traffic,
    metrics::{EgressMetrics, Outcome},
    refusal::Refusal,
};

/// Lines of one attempt.
const MAX_LINES: u64 = 1000;
/// Of them, those about requests that anybody on the node could have sent. They have an end of their own, so that they hide no others.
const MAX_STRANGERS: u64 = 10;
/// Characters of a target in a line.
const MAX_TARGET: usize = 300;

#[derive(Debug)]
pub(crate) struct Audit {
    lines: mpsc::Sender<String>,
    metrics: Option<EgressMetrics>,
    requests: AtomicU64,
    strangers: AtomicU64,
}

impl Audit {
    pub(crate) fn new(lines: mpsc::Sender<String>, metrics: Option<EgressMetrics>) -> Self {
        Self { lines, metrics, requests: AtomicU64::new(0), strangers: AtomicU64::new(0) }
    }

    /// A request is passed on. What it came to is told when it has ended.
    pub(crate) fn begin(&self) {
        self.count(Outcome::Allowed);
    }

    /// A request that was passed on has ended, with this answer where there was one to see.
    pub(crate) async fn end(&self, target: &str, status: Option<u16>, traffic: &Traffic) {
        let (sent, received) = traffic.bytes();
        let status = status.map(|status| format!("answered {status}, ")).unwrap_or_default();
        let line = format!("{}: allowed, {status}{sent} bytes out, {received} in", short(target));
        self.tell(&self.requests, MAX_LINES, line).await;
    }

    /// A request that was passed on got no answer, or its agent did not wait for it.
    pub(crate) async fn unanswered(&self, target: &str, traffic: &Traffic) {
        self.count(Outcome::Unreachable);
        let (sent, received) = traffic.bytes();
        let line = format!("{}: allowed, no answer, {sent} bytes out, {received} in", short(target));
        self.tell(&self.requests, MAX_LINES, line).await;
    }

    /// A request is not passed on.
    pub(crate) async fn refused(&self, target: &str, refusal: &Refusal) {
        if refusal.outcome() == Outcome::Credential {
            return self.refused_stranger(refusal).await;
        }
        self.count(refusal.outcome());
        self.tell(&self.requests, MAX_LINES, format!("{}: refused, {refusal}", short(target))).await;
    }

    /// The same of one that anybody on the node could have sent.
    pub(crate) async fn refused_stranger(&self, refusal: &Refusal) {
        self.count(refusal.outcome());
        self.tell(&self.strangers, MAX_STRANGERS, format!("a request: refused, {refusal}")).await;
    }

    /// What came after the last line.
    pub(crate) async fn close(&self) {
        let beyond = |seen: &AtomicU64, most: u64| seen.load(Ordering::Relaxed).saturating_sub(most);
        for (count, what) in [
            (beyond(&self.requests, MAX_LINES), "more requests"),
            (beyond(&self.strangers, MAX_STRANGERS), "more requests without the attempt's credential"),
        ] {
            if count > 0 {
                let _gone = self.lines.send(format!("[egress] {count} {what}")).await;
            }
        }
    }

    fn count(&self, outcome: Outcome) {
        if let Some(metrics) = &self.metrics {
            metrics.count(outcome);
        }
    }

    /// The line waits until it is taken; who wants no more lines gets none.
    async fn tell(&self, seen: &AtomicU64, most: u64, line: String) {
        if seen.fetch_add(1, Ordering::Relaxed) < most {
            let _gone = self.lines.send(format!("[egress] {line}")).await;
        }
    }
}

/// What an agent wrote, as plain text of some length.
fn short(target: &str) -> String {
    target.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(MAX_TARGET).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_have_an_end_and_what_is_beyond_is_counted() {
        let (sender, mut lines) = mpsc::channel(5000);
        let audit = Audit::new(sender, None);
        let traffic = Traffic::new(None);
        for _ in 0..MAX_LINES + 7 {
            audit.end("GET http://a.example:80/", Some(200), &traffic).await;
        }
        for _ in 0..MAX_STRANGERS + 3 {
            audit.refused("anything", &Refusal::Proxy).await;
        }
        audit.close().await;
        drop(audit);
        let mut seen = Vec::new();
        while let Some(line) = lines.recv().await {
            seen.push(line);
        }
        assert_eq!(seen.len() as u64, MAX_LINES + MAX_STRANGERS + 2);
        assert_eq!(seen[0], "[egress] GET http://a.example:80/: allowed, answered 200, 0 bytes out, 0 in");
        let last: Vec<&str> = seen[seen.len() - 3..].iter().map(String::as_str).collect();
        assert_eq!(last[0], "[egress] a request: refused, without the attempt's credential");
        assert_eq!(
            last[1..],
            ["[egress] 7 more requests", "[egress] 3 more requests without the attempt's credential"]
        );
    }

    #[test]
    fn a_target_is_one_short_line() {
        assert_eq!(short("GET a\nb\u{1b}[31mü"), "GET a?b?[31m?");
        assert_eq!(short(&"x".repeat(9000)).len(), MAX_TARGET);
    }
}
