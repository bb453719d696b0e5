//! Secrets: what may never be seen in anything the API answers, and how their presence is told.

use anyhow::{Result, ensure};
use drydock_runtime::config::optional_secret;
use secrecy::{ExposeSecret as _, SecretString};

/// Always told of, whether set or not.
pub(super) const NAMES: [&str; 3] = ["OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT"];
/// A value this short occurs by chance.
const SHORTEST: usize = 6;

/// The values this process has, so that they can be looked for.
pub(super) struct Secrets(Vec<(&'static str, SecretString)>);

impl Secrets {
    pub(super) fn from_env() -> Self {
        // One that cannot be read cannot be looked for either.
        let known = NAMES.into_iter().filter_map(|name| Some((name, optional_secret(name).ok()??)));
        Self(known.filter(|(_, value)| value.expose_secret().len() >= SHORTEST).collect())
    }

    /// Fails where a value is in `bytes`.
    pub(super) fn absent_from(&self, what: &str, bytes: &[u8]) -> Result<()> {
        for (name, value) in &self.0 {
            let value = value.expose_secret().as_bytes();
            ensure!(!bytes.windows(value.len()).any(|window| window == value), "the value of {name} is in {what}");
        }
        Ok(())
    }
}

/// Checks that `log` tells each name as present or absent, and that no name is followed by anything else.
pub(super) fn told(log: &str) -> Result<()> {
    for name in NAMES {
        let assigned = format!("{name}=");
        let values = log.match_indices(&assigned).map(|(at, _)| word(&log[at + assigned.len()..]));
        let mut said = false;
        for value in values {
            ensure!(
                matches!(value, "present" | "absent"),
                "the log has {name}= with something else than present or absent"
            );
            said = true;
        }
        ensure!(said, "the log says neither {name}=present nor {name}=absent");
    }
    Ok(())
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_presence_may_be_told() {
        let good = "x\nOPENAI_API_KEY=absent\nOPENAI_ORG_ID=present\n[a] OPENAI_PROJECT=absent\n";
        assert!(told(good).is_ok());
        for (bad, why) in [
            (good.replace("absent", "sk-1"), "something else"),
            (good.replace("=absent", "=absent-not"), "something else"),
            (good.replace("=absent", "="), "something else"),
            (format!("{good}OPENAI_API_KEY=sk-1"), "something else"),
            (good.replace("OPENAI_ORG_ID=present", ""), "neither OPENAI_ORG_ID"),
        ] {
            let error = told(&bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn values_are_found_wherever_they_are() {
        let secrets = Secrets(vec![("OPENAI_API_KEY", "sk-secret".to_owned().into())]);
        assert!(secrets.absent_from("a log", b"OPENAI_API_KEY=present").is_ok());
        let error = secrets.absent_from("a log", b"xxsk-secretxx").unwrap_err().to_string();
        assert_eq!(error, "the value of OPENAI_API_KEY is in a log");
    }
}
