//! What is printed: figures as they come, verdicts together at the end.

use std::time::Duration;

/// The verdicts so far.
#[derive(Default)]
pub(super) struct Verdicts {
    lines: Vec<String>,
    missed: bool,
}

impl Verdicts {
    #[expect(clippy::print_stdout, reason = "a command line program's own words")]
    #[expect(clippy::unused_self, reason = "one place that prints")]
    pub(super) fn line(&self, text: &str) {
        println!("{text}");
    }

    /// A figure without a bar.
    pub(super) fn figure(&self, who: &str, what: &str, time: Option<Duration>) {
        self.line(&format!("{who:8} {what:48} {:>12}", time.map_or_else(|| "refused".to_owned(), milliseconds)));
    }

    /// A time against its bar.
    pub(super) fn at_most(&mut self, what: &str, value: Duration, bar: Duration) {
        self.add(what, &milliseconds(value), &format!("<= {}", milliseconds(bar)), value <= bar);
    }

    /// How many times faster than a peer, against a bar.
    pub(super) fn faster(&mut self, what: &str, ours: Duration, peer: Option<Duration>, bar: f64) {
        let Some(peer) = peer else { return };
        let times = peer.as_secs_f64() / ours.as_secs_f64();
        let value = format!("{times:.1}x ({} beside {})", milliseconds(ours), milliseconds(peer));
        self.add(what, &value, &format!(">= {bar:.2}x"), times >= bar);
    }

    /// Some other value against its bar.
    pub(super) fn value(&mut self, what: &str, value: f64, unit: &str, bar: f64) {
        self.add(what, &format!("{value:.0} {unit}"), &format!("<= {bar:.0} {unit}"), value <= bar);
    }

    /// Prints the verdicts; answers whether all bars were met.
    pub(super) fn end(&self) -> bool {
        self.line("");
        self.lines.iter().for_each(|line| self.line(line));
        !self.missed
    }

    fn add(&mut self, what: &str, value: &str, bar: &str, met: bool) {
        self.missed |= !met;
        let verdict = if met { "met" } else { "MISSED" };
        self.lines.push(format!("{what:76} {value:>36}   {bar:<12} {verdict}"));
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The middle one.
pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
