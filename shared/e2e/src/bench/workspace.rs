//! A big workspace is moved while the workers' memory is watched.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    fleet::{Fleet, import},
    memory::{self, Pids},
    report::Report,
};

const MOVING_MIB: f64 = 96.0;
/// Small files, as sources are; taken in turn, unless a rarer and bigger one is due.
const SMALL: [usize; 6] = [900, 2_000, 3_500, 6_000, 12_000, 28_000];
/// Every so many files one of this size: data, objects, archives.
const BIG: [(usize, usize); 4] = [(200, 16_000_000), (60, 2_000_000), (20, 400_000), (8, 90_000)];
const FILES_A_DIRECTORY: usize = 100;
/// Changes some small files, one big one, adds and removes.
const CHANGE: &str = "set -e; n=0; for f in d0/*; do n=$((n+1)); if [ $((n % 5)) = 0 ]; then echo changed >> \"$f\"; fi; done; \
    head -c 20000000 /dev/urandom > made.bin; rm d0/f0";

pub(super) async fn phase(fleet: &Fleet, size_mb: u64, pids: Option<&Pids>, report: &mut Report) -> Result<()> {
    let tree = tempfile::tempdir()?;
    let place = tree.path().to_owned();
    let (files, bytes) = tokio::task::spawn_blocking(move || grow(&place, size_mb << 20)).await??;
    let project = import(&fleet.client, tree.path()).await?;
    drop(tree);
    let workers: Vec<(&str, u32)> = pids.map(|pids| pids.workers().collect()).unwrap_or_default();
    for (name, pid) in &workers {
        memory::reset_peak(*pid)
            .with_context(|| format!("cannot reset the peak memory of {name}: run this as its user or as root"))?;
    }
    let id = fleet.submit(&project, &["sh", "-c", CHANGE]).await?;
    let job = fleet.completed(&id).await?;
    ensure!(job.version == Some(2), "job {id} made version {:?}, not 2", job.version);
    ensure!(job.created_files == ["made.bin"], "job {id} created {:?}", job.created_files);
    ensure!(job.deleted_files == ["d0/f0"], "job {id} deleted {:?}", job.deleted_files);
    ensure!(!job.modified_files.is_empty(), "job {id} modified nothing");
    let mib = bytes >> 20;
    let timings = job.timings;
    let second = |time: Option<f64>| time.map_or_else(|| "?".to_owned(), |time| format!("{time:.2} s"));
    report.line(&format!(
        "workspace {files} files, {mib} MiB: materialized in {}, changes stored in {}",
        second(timings.materialize_s),
        second(timings.push_s)
    ));
    for (name, pid) in workers {
        let peak = memory::memory(pid)?.peak;
        report.at_most(&format!("memory of {name}, moving {mib} MiB, peak"), peak, MOVING_MIB, "MiB");
    }
    Ok(())
}

/// A tree of about `size` bytes: half noise, half text that compresses.
fn grow(root: &Path, size: u64) -> Result<(usize, u64)> {
    let mut random = StdRng::seed_from_u64(1);
    let (mut written, mut number) = (0, 0);
    while written < size {
        let directory = root.join(format!("d{}", number / FILES_A_DIRECTORY));
        if number % FILES_A_DIRECTORY == 0 {
            fs_err::create_dir(&directory)?;
        }
        let left = usize::try_from(size - written)?;
        let big = BIG.into_iter().find(|(every, _)| number % every == every - 1);
        let length = big.map_or(SMALL[number % SMALL.len()], |(_, length)| length);
        let length = length.min(left);
        let mut content = vec![0; length];
        random.fill(content.as_mut_slice());
        if number % 2 == 0 {
            for byte in &mut content {
                *byte = b'a' + (*byte & 7);
            }
        }
        fs_err::write(directory.join(format!("f{number}")), &content)?;
        written += length as u64;
        number += 1;
    }
    Ok((number, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_the_same_each_time_and_as_big_as_asked() {
        let trees = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let size = 3 << 20;
        let grown = trees.each_ref().map(|tree| grow(tree.path(), size).unwrap());
        assert_eq!(grown[0], grown[1]);
        assert_eq!(grown[0].1, size);
        let read = |tree: &tempfile::TempDir| fs_err::read(tree.path().join("d0/f5")).unwrap();
        assert_eq!(read(&trees[0]), read(&trees[1]));
    }
}
