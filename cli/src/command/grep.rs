//! What `job grep` and `batch grep` have in common: the pattern, and how a line is shown.

use clap::Args;
use drydock_client::{Call, views::Hit};

use crate::CliError;

const MATCH: &str = "\u{1b}[1;31m";
const RESET: &str = "\u{1b}[0m";

/// What to look for.
#[derive(Debug, Args)]
pub(super) struct Pattern {
    /// A regular expression, for each line
    pattern: String,
    /// PATTERN is no expression but the text itself
    #[arg(short = 'F', long)]
    fixed: bool,
    /// Upper and lower case are the same
    #[arg(short, long)]
    ignore_case: bool,
}

impl Pattern {
    /// Asks for it.
    pub(super) fn ask<'c>(&self, call: Call<'c>, limit: u32, cursor: Option<&String>) -> Call<'c> {
        let call = call.query("q", &self.pattern).query("regex", !self.fixed).query("ignore_case", self.ignore_case);
        call.query("limit", limit).query_opt("cursor", cursor)
    }
}

/// The next page's cursor.
///
/// # Errors
/// The server had no time to get on with it.
pub(super) fn further(before: Option<String>, next: Option<String>) -> Result<Option<String>, CliError> {
    if next.is_some() && next == before { Err(CliError::TimeUp) } else { Ok(next) }
}

/// A line, for a terminal with what matches in colour and without what could move its cursor.
pub(super) fn shown(hit: &Hit, coloured: bool) -> String {
    if !coloured {
        return hit.text.clone();
    }
    let plain = |from: usize, to: usize| -> String {
        let text = hit.text.get(from..to).unwrap_or_default();
        text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
    };
    let (mut out, mut done) = (String::new(), 0);
    for (start, end) in &hit.ranges {
        out += &format!("{}{MATCH}{}{RESET}", plain(done, *start), plain(*start, *end));
        done = *end;
    }
    out + &plain(done, hit.text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_colours_and_nothing_else_that_it_obeys() {
        let hit =
            Hit { line: 1, offset: 0, text: "a\u{9b}é\tb b".to_owned(), ranges: vec![(3, 5), (6, 7)], cut: false };
        assert_eq!(shown(&hit, true), "a\u{fffd}\u{1b}[1;31mé\u{1b}[0m\t\u{1b}[1;31mb\u{1b}[0m b");
        assert_eq!(shown(&hit, false), hit.text);
        let wrong = Hit { ranges: vec![(4, 5), (90, 91)], ..hit };
        assert!(shown(&wrong, true).starts_with("\u{1b}[1;31m"), "no panic");
    }

    #[test]
    fn a_server_that_gets_no_further_is_not_asked_for_ever() {
        let next = |text: &str| Some(text.to_owned());
        assert!(further(next("a"), next("a")).is_err());
        assert_eq!(further(next("a"), next("b")).unwrap(), next("b"));
        assert_eq!(further(None, None).unwrap(), None);
    }
}
