//! What is printed: figures as they come, verdicts together at the end.

use std::time::Duration;

/// The verdicts so far.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    missed: bool,
}

impl Report {
    /// A time against its bar.
    pub(crate) fn at_most(&mut self, what: &str, value: Duration, bar: Duration) {
        let met = value <= bar;
        self.add(what, &milliseconds(value), &format!("<= {}", milliseconds(bar)), met);
    }

    /// How many times faster than a peer, against a bar.
    pub(crate) fn faster(&mut self, what: &str, ours: Duration, peer: Option<Duration>, bar: f64) {
        let Some(peer) = peer else {
            self.lines.push(format!("{what:72} not measured: the peer is not here"));
            return;
        };
        let times = peer.as_secs_f64() / ours.as_secs_f64();
        let value = format!("{times:.1}x ({} beside {})", milliseconds(ours), milliseconds(peer));
        self.add(what, &value, &format!(">= {bar}x"), times >= bar);
    }

    /// Some other value against its bar.
    pub(crate) fn value(&mut self, what: &str, value: f64, unit: &str, bar: f64) {
        self.add(what, &format!("{value:.0} {unit}"), &format!("<= {bar:.0} {unit}"), value <= bar);
    }

    pub(crate) fn end(&self) {
        println!();
        self.lines.iter().for_each(|line| println!("{line}"));
    }

    pub(crate) const fn missed(&self) -> bool {
        self.missed
    }

    fn add(&mut self, what: &str, value: &str, bar: &str, met: bool) {
        self.missed |= !met;
        let verdict = if met { "met" } else { "MISSED" };
        self.lines.push(format!("{what:72} {value:>34}   {bar:<12} {verdict}"));
    }
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
