//! Memory of the services, from their pid files and `/proc`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;

use super::{machine::field, report::Report};

/// What an idle service may hold.
const IDLE_MIB: f64 = 64.0;
/// The services of ours; other pid files belong to the servers.
const OURS: [&str; 3] = ["api", "dispatcher", "worker"];

/// The services' processes.
pub(super) struct Pids(Vec<(String, u32)>);

impl Pids {
    /// Reads `NAME.pid` files; `None` where there are none of ours.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>> {
        if !directory.is_dir() {
            return Ok(None);
        }
        let mut pids = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if let Some(name) = service(&path) {
                let pid = fs::read_to_string(&path)?
                    .trim()
                    .parse()
                    .with_context(|| format!("{} holds no pid", path.display()))?;
                pids.push((name, pid));
            }
        }
        pids.sort();
        Ok(if pids.is_empty() { None } else { Some(Self(pids)) })
    }

    /// The workers alone.
    pub(super) fn workers(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().filter(|(name, _)| name.starts_with("worker")).map(|(name, pid)| (name.as_str(), *pid))
    }
}

fn service(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".pid")?;
    let kind = name.split('-').next()?;
    OURS.contains(&kind).then(|| name.to_owned())
}

/// A process's memory in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: f64,
    /// The most since it started, or since [`reset_peak`].
    pub(super) peak: f64,
}

pub(super) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(proc(pid, "status")).context("a service is not running any more")?;
    let mebibytes = |name| {
        let kib = field(&status, name).with_context(|| format!("/proc/{pid}/status has no {name}"))?;
        Ok::<_, anyhow::Error>(f64::from(u32::try_from(kib)?) / 1024.0)
    };
    Ok(Memory { resident: mebibytes("VmRSS:")?, peak: mebibytes("VmHWM:")? })
}

/// Lets the peak start over (proc(5), `clear_refs`); fails for other users' processes.
pub(super) fn reset_peak(pid: u32) -> Result<()> {
    Ok(fs::write(proc(pid, "clear_refs"), "5")?)
}

fn proc(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// What the services hold now.
pub(super) fn idle(pids: &Pids, report: &mut Report) -> Result<()> {
    ensure!(!pids.0.is_empty(), "there are no pid files");
    for (name, pid) in &pids.0 {
        let Memory { resident, peak } = memory(*pid)?;
        report.line(&format!("memory    {name} holds {resident:.1} MiB idle, {peak:.1} MiB at most since its start"));
        report.at_most(&format!("memory of {name}, idle"), resident, IDLE_MIB, "MiB");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_count() {
        let name = |path: &str| service(Path::new(path));
        assert_eq!(name("/run/worker-1.pid").as_deref(), Some("worker-1"));
        assert_eq!(name("/run/api.pid").as_deref(), Some("api"));
        for other in ["/run/postgres.pid", "/run/worker-1.start", "/run/apiary.pid"] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_has_memory() {
        let Memory { resident, peak } = memory(std::process::id()).unwrap();
        assert!(resident > 0.5 && peak >= resident, "{resident} {peak}");
        assert!(memory(u32::MAX).is_err());
    }
}
