//! Processor time of servers and services, from `/proc`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use fs_err as fs;

use super::Stack;

/// The servers' first processes.
pub(super) struct Servers(Vec<(String, u32)>);

impl Servers {
    /// Reads `NAME.pid` files.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut pids = Vec::new();
        for name in ["postgres", "rabbitmq", "s3"] {
            let path = directory.join(format!("{name}.pid"));
            let text = fs::read_to_string(&path).context("the servers' pid files (--pids)")?;
            pids.push((
                name.to_owned(),
                text.trim().parse().with_context(|| format!("{} holds no pid", path.display()))?,
            ));
        }
        Ok(Self(pids))
    }

    /// Processor time used so far by servers and services, with all their children, those that ended included.
    pub(super) fn used(&self, stack: &Stack) -> Result<Used> {
        let table = table()?;
        let services = stack.processes.iter().map(|(name, process)| (name.clone(), process.id()));
        let all = self.0.iter().cloned().chain(services);
        Ok(Used(all.map(|(name, pid)| (name, ticks(&table, pid))).collect()))
    }
}

/// Processor time by part, in clock ticks.
pub(super) struct Used(BTreeMap<String, u64>);

impl Used {
    /// Time used since `before`, by part.
    pub(super) fn since(&self, before: &Self) -> Vec<(String, Duration)> {
        let per_tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
        let spent = |name: &String, now: u64| {
            per_tick * u32::try_from(now.saturating_sub(before.0.get(name).copied().unwrap_or(0))).unwrap_or(u32::MAX)
        };
        self.0.iter().map(|(name, now)| (name.clone(), spent(name, *now))).collect()
    }
}

struct Row {
    parent: u32,
    /// Its own, and that of its children that were waited for.
    ticks: u64,
}

fn table() -> Result<BTreeMap<u32, Row>> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Some(row) = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse(&stat)) {
            rows.insert(pid, row);
        }
    }
    Ok(rows)
}

/// `proc_pid_stat(5)`: fields 4 (parent) and 14 to 17 (utime, stime, cutime, cstime), counted from behind the name.
fn parse(stat: &str) -> Option<Row> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Row { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn ticks(table: &BTreeMap<u32, Row>, pid: u32) -> u64 {
    let own = table.get(&pid).map_or(0, |row| row.ticks);
    let children = table.iter().filter(|(_, row)| row.parent == pid).map(|(child, _)| ticks(table, *child));
    own + children.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_and_that_of_children_is_read() {
        let stat = "7 (a ) b) S 3 7 7 0 -1 4194560 1 2 0 0 10 20 30 40 20 0 1 0 5 6 7";
        let row = parse(stat).unwrap();
        assert_eq!((row.parent, row.ticks), (3, 100));
        let table = BTreeMap::from([(3, Row { parent: 1, ticks: 5 }), (7, row)]);
        assert_eq!(ticks(&table, 3), 105);
    }
}
