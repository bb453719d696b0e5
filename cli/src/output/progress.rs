//! How far something is: a bar where it can be written over, else a line from time to time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Output, mebibytes};

/// Between two lines where there is no bar.
const TOLD_EVERY: Duration = Duration::from_secs(2);
/// Between two drawings of a bar nothing moves on.
const TICK: Duration = Duration::from_millis(200);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Jobs.
    Jobs,
}

/// Something under way. Gone when dropped.
#[derive(Debug)]
pub struct Progress {
    output: Arc<Output>,
    what: &'static str,
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    done: u64,
    next: Instant,
}

impl Progress {
    /// Begins to tell: `what` is a word like `sent`; `total` is how much there is, where that is known.
    pub fn begin(output: &Arc<Output>, what: &'static str, unit: Unit, total: Option<u64>) -> Self {
        let bar = output.terminal().moves.then(|| bar(what, unit, total));
        output.show(bar.clone());
        let lines = Mutex::new(Lines { done: 0, next: Instant::now() + TOLD_EVERY });
        Self { output: Arc::clone(output), what, bar, lines }
    }

    /// Bytes are further on by so many. Without a bar, a line tells from time to time.
    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            return bar.inc(bytes);
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.done += bytes;
        if Instant::now() >= lines.next {
            self.output.note(&format!("{} {}", self.what, mebibytes(lines.done)));
            lines.next = Instant::now() + TOLD_EVERY;
        }
    }

    /// It stands like this. Answers whether a bar shows it: else the caller may want to tell.
    pub fn stands(&self, done: u64, total: u64, text: &str) -> bool {
        let Some(bar) = &self.bar else { return false };
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(text.to_owned());
        true
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            self.output.show(None);
        }
    }
}

fn bar(what: &'static str, unit: Unit, total: Option<u64>) -> ProgressBar {
    let template = match (unit, total) {
        (Unit::Bytes, Some(_)) => {
            "{prefix} [{bar:30}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} to go"
        }
        (Unit::Bytes, None) => "{spinner} {prefix} {binary_bytes}, {binary_bytes_per_sec}, {elapsed}",
        (Unit::Jobs, _) => "{prefix} [{bar:30}] {pos}/{len} {wide_msg}",
    };
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    // A template that is none is caught by the test below; the default one does as well.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style.progress_chars("=> ")).with_prefix(what);
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_templates() {
        for (unit, total) in [(Unit::Bytes, Some(1)), (Unit::Bytes, None), (Unit::Jobs, Some(1)), (Unit::Jobs, None)] {
            assert_eq!(bar("sent", unit, total).prefix(), "sent");
        }
    }

    #[test]
    fn without_a_terminal_there_is_no_bar() {
        let progress = Progress::begin(&Arc::default(), "sent", Unit::Jobs, Some(3));
        assert!(!progress.stands(1, 3, "one"));
    }
}
