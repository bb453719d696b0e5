//! The verdict: a few lines for people and CI, and an exit code.

use std::path::Path;

use super::{
    check::Findings,
    effects::{Effect, missing},
};

/// Lines of findings that are printed; the evidence has all.
const SHOWN: usize = 20;

/// Everything that decides.
pub(crate) struct Verdict<'a> {
    /// The seed.
    pub(crate) seed: u64,
    /// What the checker found.
    pub(crate) findings: &'a Findings,
    /// What happened.
    pub(crate) effects: &'a [Effect],
    /// Things that are wrong in any run: a refused request, a service that ended by itself, a fault that could not be healed.
    pub(crate) troubles: &'a [String],
    /// The evidence.
    pub(crate) evidence: &'a Path,
}

impl Verdict<'_> {
    /// Nothing is wrong, and everything was tried.
    pub(crate) fn is_good(&self) -> bool {
        self.findings.is_clean() && missing(self.effects).is_empty() && self.troubles.is_empty()
    }

    /// The lines.
    pub(crate) fn text(&self) -> String {
        let counts = |required: bool| {
            let of_kind = self.effects.iter().filter(|effect| effect.required == required);
            of_kind.map(|effect| format!("{} {}", effect.name, effect.count)).collect::<Vec<_>>().join(", ")
        };
        let mut lines =
            vec![self.findings.to_string(), format!("happened: {}", counts(true)), format!("and: {}", counts(false))];
        let found = self.findings.lines();
        lines.extend(found.iter().take(SHOWN).cloned());
        if found.len() > SHOWN {
            lines.push(format!("… and {} more findings", found.len() - SHOWN));
        }
        lines.extend(missing(self.effects).into_iter().map(|name| format!("never happened: {name}")));
        lines.extend(self.troubles.iter().map(|trouble| format!("trouble: {trouble}")));
        let word = if self.is_good() { "passed" } else { "FAILED" };
        lines.push(format!("{word}: seed {}, evidence in {}", self.seed, self.evidence.display()));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(count: u64, required: bool) -> Effect {
        Effect { name: "fenced", count, required }
    }

    #[test]
    fn an_effect_that_stayed_at_0_or_any_trouble_fails_the_run() {
        let clean = Findings::default();
        let verdict = |effects: &[Effect], findings: &Findings, troubles: &[String]| {
            Verdict { seed: 1, findings, effects, troubles, evidence: Path::new("/e") }.is_good()
        };
        assert!(verdict(&[effect(1, true), effect(0, false)], &clean, &[]));
        assert!(!verdict(&[effect(0, true)], &clean, &[]));
        assert!(!verdict(&[effect(1, true)], &clean, &["x".to_owned()]));
        assert!(!verdict(&[effect(1, true)], &Findings { accepted: 1, ..Findings::default() }, &[]));
        let text = Verdict {
            seed: 42,
            findings: &clean,
            effects: &[effect(0, true)],
            troubles: &[],
            evidence: Path::new("/e"),
        }
        .text();
        assert!(
            text.contains("never happened: fenced") && text.ends_with("FAILED: seed 42, evidence in /e\n"),
            "{text}"
        );
    }
}
