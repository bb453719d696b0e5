//! Which level this node gives: the highest that does, when tried, what is said of it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_agent::{Jail, own_directories};
use drydock_domain::Isolation;
use drydock_jail::attack::suite;

use super::config::{IsolationConfig, Reach, Wanted};

/// The program's name.
const HELPER: &str = "drydock-jail";
/// From the best down.
const LEVELS: [Isolation; 3] = [Isolation::Namespace, Isolation::Landlock, Isolation::LandlockWeak];

/// One level, tried.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) level: Isolation,
    /// What the self-test found; or why it cannot be given, in one sentence.
    pub(crate) outcome: Result<Passed, String>,
}

/// A self-test that found all as it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// How many attacks were tried.
    pub(crate) attacks: usize,
    pub(crate) took: Duration,
}

/// Where no level can be given.
#[derive(Debug, thiserror::Error)]
#[error("jobs cannot be walled in as DRYDOCK_ISOLATION asks: {}; {}", .reasons.join("; "), REMEDY)]
pub(crate) struct Ungranted {
    reasons: Vec<String>,
}

const REMEDY: &str = "run `drydock-worker doctor` here, or set DRYDOCK_ISOLATION=none where every job is trusted with all that the worker may do";

/// The best level that is wanted and passes, as a jail; none where none is wanted. Blocking.
pub(crate) fn grant(config: &IsolationConfig, scratch: &Path) -> Result<Option<Jail>, Ungranted> {
    let levels = match config.wanted {
        Wanted::Level(Isolation::None) => return Ok(None),
        Wanted::Level(level) => vec![level],
        Wanted::Auto => LEVELS.to_vec(),
    };
    let mut reasons = Vec::new();
    for level in levels {
        match attempt(config, scratch, level).outcome {
            Ok(passed) => {
                tracing::info!(%level, attacks = passed.attacks, took_ms = passed.took.as_millis(), "jobs are walled in");
                return Ok(Some(jail(config, level)));
            }
            Err(reason) => {
                tracing::warn!(%level, "this node does not give this isolation level: {reason}");
                reasons.push(format!("{level}: {reason}"));
            }
        }
    }
    Err(Ungranted { reasons })
}

/// Every level, for whoever asks what this node gives. Blocking.
pub(crate) fn all(config: &IsolationConfig, scratch: &Path) -> Vec<Trial> {
    LEVELS.into_iter().map(|level| attempt(config, scratch, level)).collect()
}

/// Tries a level that was granted before. Blocking.
pub(crate) fn again(jail: &Jail) -> Trial {
    Trial { level: jail.level, outcome: test(jail) }
}

fn attempt(config: &IsolationConfig, scratch: &Path, level: Isolation) -> Trial {
    let jail = jail(config, level);
    let wrong = config.jail_read.iter().find_map(|path| check(path, scratch).err());
    let outcome = match wrong {
        Some(reason) => Err(format!("DRYDOCK_JAIL_READ: {reason}")),
        None if !jail.helper.is_file() => Err(format!("'{}' is not there (DRYDOCK_JAIL_BIN)", jail.helper.display())),
        None => test(&jail),
    };
    Trial { level, outcome }
}

/// A job that could read the scratch directory could read the workspaces of all others, which no self-test looks at.
fn check(read: &Path, scratch: &Path) -> Result<(), String> {
    let real = fs_err::canonicalize(read).map_err(|error| error.to_string())?;
    let scratch = fs_err::canonicalize(scratch).unwrap_or_else(|_| scratch.to_owned());
    if scratch.starts_with(&real) || real.starts_with(&scratch) {
        return Err(format!("'{}' holds DRYDOCK_SCRATCH_DIR, or is in it", read.display()));
    }
    Ok(())
}

/// Tries every attack from jobs that may talk to nobody, and from those that may use a port.
fn test(jail: &Jail) -> Result<Passed, String> {
    let (mut attacks, mut took) = (0, Duration::ZERO);
    for run in [suite::run, suite::run_with_ports] {
        let report = run(&jail.helper, jail.level).map_err(|error| error.to_string())?;
        let holes = report.holes();
        if !holes.is_empty() {
            return Err(format!("its self-test found: {}", holes.join(", ")));
        }
        (attacks, took) = (attacks + report.cases.len(), took + report.took);
    }
    Ok(Passed { attacks, took })
}

fn jail(config: &IsolationConfig, level: Isolation) -> Jail {
    Jail {
        helper: config.jail_bin.clone().unwrap_or_else(beside),
        level,
        read: config.jail_read.clone(),
        open_network: config.jail_network == Reach::Open,
        open_files: Some(config.jail_open_files),
        processes: config.jail_processes,
        file_bytes: config.jail_file_bytes,
    }
}

/// The helper that came with this program; where there is none, the place where it was looked for first.
fn beside() -> PathBuf {
    let places: Vec<PathBuf> = own_directories().iter().map(|directory| directory.join(HELPER)).collect();
    places.iter().find(|place| place.is_file()).or(places.first()).cloned().unwrap_or_default()
}
