//! What the machine itself can do: processes of `true` spawned and waited for, on every core, without any queue.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::Report;

const TIME: Duration = Duration::from_secs(3);

pub(super) fn phase(report: &mut Report) -> Result<()> {
    let per_second = measure()?;
    report.value("raw spawn of true on all cores", per_second, "/s");
    Ok(())
}

/// Spawns a second, over all cores.
pub(super) fn measure() -> Result<f64> {
    let cores = std::thread::available_parallelism()?.get();
    let counted: Vec<Result<u32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(spawn_for)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread does not panic")).collect()
    });
    let count = counted.into_iter().sum::<Result<u32>>()?;
    Ok(f64::from(count) / TIME.as_secs_f64())
}

fn spawn_for() -> Result<u32> {
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        let status = Command::new("/bin/true").stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "true ended with {status}");
        count += 1;
    }
    Ok(count)
}
