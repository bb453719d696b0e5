//! What a `doctor` command found: one line a check, or the same as JSON.
//!
//! Owns the form and what it adds up to. A check that found anything but good says what to do; one that could not be made
//! is told as such, and is no finding.

use serde_json::{Value, json};

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not looked at; what would let it be.
    Skipped(String),
    /// It works, and could do better or soon will not; what to do.
    Warning(String),
    /// It does not work; what to do.
    Failure(String),
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, a word.
    pub check: &'static str,
    /// What was seen. Never a secret.
    pub what: String,
    /// What that means.
    pub verdict: Verdict,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, what: what.into(), verdict: Verdict::Ok }
    }

    /// Not looked at.
    pub fn skipped(check: &'static str, what: impl Into<String>, how_to: impl Into<String>) -> Self {
        Self { check, what: what.into(), verdict: Verdict::Skipped(how_to.into()) }
    }

    /// Works, but.
    pub fn warning(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, what: what.into(), verdict: Verdict::Warning(remedy.into()) }
    }

    /// Does not work.
    pub fn failure(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, what: what.into(), verdict: Verdict::Failure(remedy.into()) }
    }

    fn status(&self) -> (&'static str, Option<&str>) {
        match &self.verdict {
            Verdict::Ok => ("ok", None),
            Verdict::Skipped(how_to) => ("skip", Some(how_to)),
            Verdict::Warning(remedy) => ("warn", Some(remedy)),
            Verdict::Failure(remedy) => ("fail", Some(remedy)),
        }
    }

    fn json(&self) -> Value {
        let (status, remedy) = self.status();
        json!({"check": self.check, "status": status, "what": self.what, "remedy": remedy})
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, remedy) = self.status();
        let arrow = if remedy.is_some() { " -> " } else { "" };
        let text = format!("{status:<4}  {:<8}  {}{arrow}{}", self.check, self.what, remedy.unwrap_or_default());
        // One line each, whatever a server said.
        f.write_str(&text.replace(|c: char| c.is_control(), " "))
    }
}

/// All checks, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Adds a check.
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Whether something does not work.
    pub fn has_failures(&self) -> bool {
        self.0.iter().any(|finding| matches!(finding.verdict, Verdict::Failure(_)))
    }

    /// A line a check, each with its end.
    pub fn text(&self) -> String {
        self.0.iter().map(|finding| format!("{finding}\n")).collect()
    }

    /// `{"ok": …, "checks": [{"check", "status": "ok|skip|warn|fail", "what", "remedy"}]}`
    pub fn json(&self) -> Value {
        json!({"ok": !self.has_failures(), "checks": self.0.iter().map(Finding::json).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_check_and_only_failures_fail() {
        let mut report = Report(vec![
            Finding::ok("api", "answers"),
            Finding::skipped("broker", "not asked", "set DRYDOCK_AMQP_URL"),
            Finding::warning("clock", "two\nlines", "set it"),
        ]);
        assert!(!report.has_failures());
        assert_eq!(
            report.text(),
            "ok    api       answers\nskip  broker    not asked -> set DRYDOCK_AMQP_URL\nwarn  clock     two lines -> set it\n"
        );
        report.add(Finding::failure("storage", "is away", "look"));
        assert!(report.has_failures());
        let json = report.json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["checks"][0], json!({"check": "api", "status": "ok", "what": "answers", "remedy": null}));
        assert_eq!(json["checks"][3]["status"], "fail");
    }
}
