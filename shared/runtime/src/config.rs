//! Reading settings: `clap` with `env` for plain ones; secrets come from `NAME` or the file named by `NAME_FILE`, never from
//! arguments, which every user of a host can list.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither `NAME` nor `NAME_FILE` is set.
    #[error("{0} is not set (or name a file that holds it in {0}_FILE)")]
    Missing(&'static str),
    /// Both are set.
    #[error("{0} and {0}_FILE are both set: keep one")]
    Both(&'static str),
    /// The file cannot be read.
    #[error("{name}_FILE names '{}', which cannot be read", path.display())]
    File {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Readable, but not usable.
    #[error("{name}: {reason}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// A secret that must be given.
///
/// # Errors
/// It is missing, given twice, or its file cannot be read.
pub fn secret(name: &'static str) -> Result<SecretString, ConfigError> {
    optional_secret(name)?.ok_or(ConfigError::Missing(name))
}

/// A secret that may be absent. White space at the end of a file is dropped.
///
/// # Errors
/// It is given twice, or its file cannot be read.
#[expect(clippy::disallowed_methods, reason = "the one reader of secrets, called once at start")]
pub fn optional_secret(name: &'static str) -> Result<Option<SecretString>, ConfigError> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = std::env::var_os(format!("{name}_FILE")).filter(|path| !path.is_empty());
    match (value, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(ConfigError::Both(name)),
        (Some(value), None) => Ok(Some(value.into())),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim_end().into())),
            Err(source) => Err(ConfigError::File { name, path: path.into(), source }),
        },
    }
}

/// Parses `250ms`, `10s`, `5m`, `2h` or `1d`: a whole number and a unit.
///
/// # Errors
/// Not such a text.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("'{text}' is no duration: write a whole number and ms, s, m, h or d, like 30s");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Like [`duration`], but refuses zero: for intervals and time limits.
///
/// # Errors
/// Not such a text, or zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("must be more than zero".to_owned()) } else { Ok(d) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis));
        }
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "99999999999999999999s", "9999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }
}
