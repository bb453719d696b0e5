//! Settings of the walls around jobs.

use std::{path::PathBuf, time::Duration};

use drydock_domain::Isolation;
use drydock_runtime::config::positive_duration;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The highest level whose self-test passes here; at least `landlock-weak`.
    Auto,
    /// This one; the worker does not start where its self-test fails. `none` is a choice, too, and never made by the worker.
    Level(Isolation),
}

/// Settings of the walls around jobs.
#[derive(Clone, Debug, clap::Args)]
pub struct IsolationConfig {
    /// How jobs are walled in: auto, namespace, landlock, landlock-weak or none. The level is tried out before it is offered; one that is
    /// named and cannot be given stops the start, and auto never goes down to none
    #[arg(long = "isolation", env = "DRYDOCK_ISOLATION", default_value = "auto", value_parser = wanted)]
    pub wanted: Wanted,
    /// How often the level is tried out again while the worker runs; where it does not hold, the worker drains and ends
    #[arg(long, env = "DRYDOCK_ISOLATION_RECHECK", default_value = "10m", value_parser = positive_duration)]
    pub isolation_recheck: Duration,
    /// The drydock-jail program; beside the worker's own when unset
    #[arg(long, env = "DRYDOCK_JAIL_BIN", value_parser = absolute)]
    pub jail_bin: Option<PathBuf>,
    /// Directories and files that jobs may read and execute beside /usr, /bin, /sbin and /lib: where agents and toolchains are installed,
    /// separated by colons
    #[arg(long, env = "DRYDOCK_JAIL_READ", value_delimiter = ':', value_parser = readable)]
    pub jail_read: Vec<PathBuf>,
    /// Whom jobs may talk to: closed (an agent's own entry opens what that needs), or open
    #[arg(long, env = "DRYDOCK_JAIL_NETWORK", default_value = "closed", value_enum)]
    pub jail_network: Reach,
    /// Most files open in one process of a job
    #[arg(long, env = "DRYDOCK_JAIL_OPEN_FILES", default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(64..))]
    pub jail_open_files: u64,
    /// Most processes of the worker's user; counts for no root but in a namespace
    #[arg(long, env = "DRYDOCK_JAIL_PROCESSES", value_parser = clap::value_parser!(u64).range(16..))]
    pub jail_processes: Option<u64>,
    /// Most bytes of one file that a job writes
    #[arg(long, env = "DRYDOCK_JAIL_FILE_BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub jail_file_bytes: Option<u64>,
}

/// Whom jobs may talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Reach {
    /// Nobody.
    Closed,
    /// Everybody.
    Open,
}

fn wanted(text: &str) -> Result<Wanted, String> {
    if text == "auto" {
        return Ok(Wanted::Auto);
    }
    match text.parse() {
        Ok(level @ (Isolation::None | Isolation::LandlockWeak | Isolation::Landlock | Isolation::Namespace)) => {
            Ok(Wanted::Level(level))
        }
        _ => Err("must be auto, namespace, landlock, landlock-weak or none".to_owned()),
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    if path.is_absolute() && !climbs { Ok(path) } else { Err("must be an absolute path without '..'".to_owned()) }
}

/// The root would be all there is, which no self-test looks at.
fn readable(text: &str) -> Result<PathBuf, String> {
    let path = absolute(text)?;
    if path.parent().is_some() { Ok(path) } else { Err("must not be the root: name what jobs have to read".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_this_worker_makes_are_the_ones_to_ask_for() {
        assert_eq!(wanted("auto"), Ok(Wanted::Auto));
        assert_eq!(wanted("none"), Ok(Wanted::Level(Isolation::None)));
        for wrong in ["vm", "userkernel", "", "Landlock"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_mean_the_same_wherever_the_worker_starts() {
        assert!(absolute("/opt/agents").is_ok());
        assert!(readable("/").is_err() && readable("//").is_err() && readable("/opt").is_ok());
        assert!(absolute("opt").is_err() && absolute("/opt/../etc").is_err() && absolute("").is_err());
    }
}
