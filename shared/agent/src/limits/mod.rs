//! What one run may use of its node. Whoever uses more is ended: where no cgroup is to be had, that is what keeps the others' share.
//!
//! Looked at every [`EVERY`], so that a run may be over a limit for that long. Files are counted only when their disk has changed, and so
//! seldom that it costs a fiftieth of one core.

mod disk;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use drydock_runtime::config::positive_duration;
use serde::Deserialize;

use crate::{error::AgentError, file, output::Said, process::Meter};
use disk::{Disk, Used};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// What a run may use; what is not set is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most bytes of memory of one job's processes, what they share counted once; an agent's own `limits` in agents.toml go first, here and
    /// below
    #[arg(long = "limit-memory-bytes", env = "DRYDOCK_LIMIT_MEMORY_BYTES", value_parser = above_zero())]
    pub memory_bytes: Option<u64>,
    /// Most time on processors that one job's processes take, all of them together
    #[arg(long = "limit-cpu-time", env = "DRYDOCK_LIMIT_CPU_TIME", value_parser = positive_duration)]
    #[serde(deserialize_with = "file::timeout")]
    pub cpu_time: Option<Duration>,
    /// Most processes and threads of one job at once
    #[arg(long = "limit-processes", env = "DRYDOCK_LIMIT_PROCESSES", default_value = "4096", value_parser = above_zero())]
    pub processes: Option<u64>,
    /// Most bytes on disk of one job's directories, its project's files included
    #[arg(long = "limit-disk-bytes", env = "DRYDOCK_LIMIT_DISK_BYTES", value_parser = above_zero())]
    pub disk_bytes: Option<u64>,
    /// Most files and directories there
    #[arg(long = "limit-files", env = "DRYDOCK_LIMIT_FILES", value_parser = above_zero())]
    pub files: Option<u64>,
    /// Most bytes that one job may write to its output
    #[arg(long = "limit-output-bytes", env = "DRYDOCK_LIMIT_OUTPUT_BYTES", value_parser = above_zero())]
    pub output_bytes: Option<u64>,
    /// Most lines that one job may write to its output
    #[arg(long = "limit-output-lines", env = "DRYDOCK_LIMIT_OUTPUT_LINES", value_parser = above_zero())]
    pub output_lines: Option<u64>,
}

fn above_zero() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Seconds on processors.
    CpuTime,
    /// Processes and threads at once.
    Processes,
    /// Bytes on disk.
    Disk,
    /// Files and directories.
    Files,
    /// Bytes of output.
    OutputBytes,
    /// Lines of output.
    OutputLines,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Memory, Self::CpuTime, Self::Processes, Self::Disk, Self::Files, Self::OutputBytes, Self::OutputLines];

    /// Its word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::CpuTime => "cpu_time",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::Files => "files",
            Self::OutputBytes => "output_bytes",
            Self::OutputLines => "output_lines",
        }
    }

    /// What it is counted in, and the worker's setting of its limit.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Memory => ("bytes of memory", "DRYDOCK_LIMIT_MEMORY_BYTES"),
            Self::CpuTime => ("seconds on processors", "DRYDOCK_LIMIT_CPU_TIME"),
            Self::Processes => ("processes and threads", "DRYDOCK_LIMIT_PROCESSES"),
            Self::Disk => ("bytes on disk", "DRYDOCK_LIMIT_DISK_BYTES"),
            Self::Files => ("files and directories", "DRYDOCK_LIMIT_FILES"),
            Self::OutputBytes => ("bytes of output", "DRYDOCK_LIMIT_OUTPUT_BYTES"),
            Self::OutputLines => ("lines of output", "DRYDOCK_LIMIT_OUTPUT_LINES"),
        }
    }
}

/// A limit that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub resource: Resource,
    /// How much it was.
    pub used: u64,
    /// How much it may be.
    pub limit: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self { used, limit, .. }, (unit, setting)) = (self, self.resource.words());
        write!(f, "{used} {unit}, where {limit} are the limit (the agent's own, or {setting} of the worker)")
    }
}

impl Limits {
    /// These, and the others' where these say nothing.
    pub(crate) fn or(self, others: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
            cpu_time: self.cpu_time.or(others.cpu_time),
            processes: self.processes.or(others.processes),
            disk_bytes: self.disk_bytes.or(others.disk_bytes),
            files: self.files.or(others.files),
            output_bytes: self.output_bytes.or(others.output_bytes),
            output_lines: self.output_lines.or(others.output_lines),
        }
    }

    /// A limit that lets nothing be used.
    pub(crate) fn zero(&self) -> Option<&'static str> {
        let numbers = [
            ("memory_bytes", self.memory_bytes),
            ("processes", self.processes),
            ("disk_bytes", self.disk_bytes),
            ("files", self.files),
            ("output_bytes", self.output_bytes),
            ("output_lines", self.output_lines),
            ("cpu_time", self.cpu_time.map(|time| u64::from(!time.is_zero()))),
        ];
        numbers.into_iter().find_map(|(name, limit)| (limit == Some(0)).then_some(name))
    }

    fn look_at_processes(&self) -> bool {
        self.memory_bytes.is_some() || self.cpu_time.is_some() || self.processes.is_some()
    }

    fn of_processes(&self, meter: &Meter) -> Result<Option<Excess>, AgentError> {
        if !self.look_at_processes() {
            return Ok(None);
        }
        let usage = meter.read().map_err(|source| AgentError::Processes { operation: "measure", source })?;
        let cpu = passed(Resource::CpuTime, usage.cpu_time.as_secs(), self.cpu_time.map(|limit| limit.as_secs()));
        let many = passed(Resource::Processes, usage.tasks, self.processes);
        let memory = || {
            // What is resident counts what processes share once for each of them, and is cheap.
            let _may_be = passed(Resource::Memory, usage.resident_bytes(), self.memory_bytes)?;
            passed(Resource::Memory, usage.memory_bytes(), self.memory_bytes)
        };
        Ok(many.or(cpu).or_else(memory))
    }

    fn of_output(&self, said: &Said) -> Option<Excess> {
        let bytes = passed(Resource::OutputBytes, said.bytes(), self.output_bytes);
        bytes.or_else(|| passed(Resource::OutputLines, said.lines(), self.output_lines))
    }

    fn of_disk(&self, disk: &mut Disk) -> Result<Option<Excess>, AgentError> {
        if self.disk_bytes.is_none() && self.files.is_none() {
            return Ok(None);
        }
        let enough = Used { bytes: self.disk_bytes.unwrap_or(u64::MAX), files: self.files.unwrap_or(u64::MAX) };
        let used = disk.used(enough).map_err(|source| AgentError::Prepare { what: "disk usage", source })?;
        let bytes = passed(Resource::Disk, used.bytes, self.disk_bytes);
        Ok(bytes.or_else(|| passed(Resource::Files, used.files, self.files)))
    }
}

fn passed(resource: Resource, used: u64, limit: Option<u64>) -> Option<Excess> {
    let limit = limit.filter(|limit| used > *limit)?;
    Some(Excess { resource, used, limit })
}

/// One run, watched.
pub(crate) struct Watched {
    pub(crate) limits: Limits,
    pub(crate) meter: Meter,
    pub(crate) said: Arc<Said>,
    /// What it may write to.
    pub(crate) directories: Vec<PathBuf>,
}

impl Watched {
    /// Resolves when it uses more than it may.
    pub(crate) async fn exceeds(self) -> Excess {
        if self.limits == Limits::default() {
            return std::future::pending().await;
        }
        let (limits, meter, said) = (Arc::new(self.limits), self.meter, self.said);
        let mut disk = Disk::new(self.directories);
        loop {
            tokio::time::sleep(EVERY).await;
            let (limits, meter, said) = (limits.clone(), meter.clone(), said.clone());
            let look = move || {
                let found =
                    limits.of_output(&said).map_or_else(|| limits.of_processes(&meter), |found| Ok(Some(found)));
                let found = match found {
                    Ok(None) => limits.of_disk(&mut disk),
                    found => found,
                };
                (found, disk)
            };
            let Ok((found, same)) = tokio::task::spawn_blocking(look).await else {
                // The runtime is going, and the run with it.
                return std::future::pending().await;
            };
            disk = same;
            match found {
                Ok(Some(excess)) => return excess,
                Ok(None) => {}
                // It is looked at again; a run is not ended for what could not be read.
                Err(error) => tracing::warn!(%error, "failed to measure what a job uses"),
            }
        }
    }
}
