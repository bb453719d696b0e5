//! What one run may use of its node. Whoever uses more is ended: where no cgroup is to be had, that is what keeps the others' share.
//!
//! Looked at every [`EVERY`], so that a run may be over a limit for that long. Files are counted only when their disk has changed, and at
//! most for a fiftieth of the time, but every half minute.

mod disk;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

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
    /// Milliseconds on processors.
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
            Self::CpuTime => ("milliseconds on processors", "DRYDOCK_LIMIT_CPU_TIME"),
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
        let usage = meter.read().map_err(|source| AgentError::Processes { operation: "measure", source })?;
        let cpu = passed(Resource::CpuTime, milliseconds(usage.cpu_time), self.cpu_time.map(milliseconds));
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

    fn of_disk(&self, disk: &mut Disk, stop: &AtomicBool) -> Result<Option<Excess>, AgentError> {
        let enough = Used { bytes: self.disk_bytes.unwrap_or(u64::MAX), files: self.files.unwrap_or(u64::MAX) };
        let used = disk
            .used(enough, stop)
            .map_err(|source| AgentError::Processes { operation: "count the files of", source })?;
        let bytes = passed(Resource::Disk, used.bytes, self.disk_bytes);
        Ok(bytes.or_else(|| passed(Resource::Files, used.files, self.files)))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
        let Self { limits, meter, said, directories } = self;
        // A walk takes its time; nothing else waits for it.
        tokio::select! {
            excess = of_node(&limits, &meter, &said) => excess,
            excess = of_disk(&limits, Disk::new(directories)) => excess,
        }
    }
}

async fn of_node(limits: &Limits, meter: &Meter, said: &Said) -> Excess {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Some(excess) = limits.of_output(said) {
            return excess;
        }
        if limits.look_at_processes() {
            let (limits, meter) = (limits.clone(), meter.clone());
            if let Some(excess) = looked(move || limits.of_processes(&meter)).await {
                return excess;
            }
        }
    }
}

async fn of_disk(limits: &Limits, disk: Disk) -> Excess {
    if limits.disk_bytes.is_none() && limits.files.is_none() {
        return std::future::pending().await;
    }
    let (limits, disk) = (Arc::new(limits.clone()), Arc::new(Mutex::new(disk)));
    // Of a run that is over nobody wants to know; its walk ends.
    let stop = Arc::new(AtomicBool::new(false));
    let _stops = Stops(stop.clone());
    loop {
        tokio::time::sleep(EVERY).await;
        let (limits, disk, stop) = (limits.clone(), disk.clone(), stop.clone());
        let look = move || limits.of_disk(&mut disk.lock().unwrap_or_else(PoisonError::into_inner), &stop);
        if let Some(excess) = looked(look).await {
            return excess;
        }
    }
}

/// What a look on a thread of its own has found. A look that panics is a fault of ours, which ends the run: without limits none goes on.
async fn looked(look: impl FnOnce() -> Result<Option<Excess>, AgentError> + Send + 'static) -> Option<Excess> {
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "failed to measure what a job uses; it is looked at again");
            None
        }
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going, and the run with it.
        Err(_) => std::future::pending().await,
    }
}

/// Tells a walk to end.
struct Stops(Arc<AtomicBool>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
