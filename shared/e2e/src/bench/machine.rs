//! The machine, as far as it explains figures.

use anyhow::Result;
use fs_err as fs;

/// Lines about processor, memory, kernel and load.
pub(super) fn describe() -> Result<Vec<String>> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let total = field(&memory, "MemTotal:").unwrap_or_default() / 1024;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(vec![
        format!("machine   {cores} cores ({model}), {total} MiB of memory, Linux {}", kernel.trim()),
        format!("load      {} (1, 5, 15 minutes, before the start)", load.join(" ")),
    ])
}

/// A number after its name, as files of `/proc` write it.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_read() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(
            (field(status, "VmHWM:"), field(status, "VmRSS:"), field(status, "VmX:")),
            (Some(2048), Some(1024), None)
        );
        assert_eq!(describe().unwrap().len(), 2);
    }
}
