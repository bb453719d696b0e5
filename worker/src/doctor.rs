//! `drydock-worker doctor`: what this node allows, tried out beside a worker that may be running here.
//!
//! Owns the trials' place: directories of their own inside those of the settings, on the same file systems, gone afterwards. No server
//! is asked; `drydock doctor` does that.

use std::{io, os::unix::fs::MetadataExt as _, path::Path};

use drydock_domain::rungs;
use drydock_runtime::{
    doctor::{Finding, Report},
    exit::chain,
};
use drydock_storage::{Credentials, Storage, StorageMetrics};
use prometheus::{IntCounterVec, Opts, Registry};
use rustix::fs::{StatVfs, statfs, statvfs};
use tempfile::TempDir;

use crate::{
    WorkerConfig,
    cache::{CacheMetrics, NodeCache},
    isolation::{self, Trial, Wanted},
    node, service,
    workspace::{Ladder, Rung, ScratchRoot, scratch::CACHE},
};
use drydock_agent::Agents;

/// Inodes below which a disk is told to be short of them: a workspace needs one a file.
const FEW_INODES: u64 = 100_000;
/// What helps where a level is not given.
const WALLS: &str = "see the levels' needs in SECURITY.md, or ask for another one with DRYDOCK_ISOLATION";
/// Where trials of the cache lie, so that the next worker removes what a doctor that was killed left.
const TEMPORARY: &str = "tmp";

/// Looks at the node as `config` describes it.
pub async fn doctor(config: &WorkerConfig) -> Report {
    let cache = config.cache_dir.clone().unwrap_or_else(|| config.scratch_dir.join(CACHE));
    let mut report = Report::default();
    let uname = rustix::system::uname();
    report.add(Finding::ok("kernel", format!("Linux {}", uname.release().to_string_lossy())));
    report.add(scratch(&config.scratch_dir));
    report.add(cached(config, &cache));
    match try_rungs(config, &cache).await {
        Ok(ladder) => ways(&ladder, config.materialize, &mut report),
        Err(error) => report.add(Finding::failure(
            "rungs",
            format!("none could be tried: {error:#}"),
            "let this user write to DRYDOCK_SCRATCH_DIR and DRYDOCK_CACHE_DIR",
        )),
    }
    walls(config, &mut report).await;
    agents(config, &mut report);
    report
}

fn scratch(path: &Path) -> Finding {
    const SETTING: &str = "set DRYDOCK_SCRATCH_DIR to a directory this user may write to";
    let stat = match made(path) {
        Ok(stat) => stat,
        Err(error) => return Finding::failure("scratch", format!("{}: {error}", path.display()), SETTING),
    };
    let what = disk(path, &stat);
    match free(&stat) {
        free if free < service::MIN_FREE => Finding::failure("scratch", what, "free space: no worker starts here"),
        _ if stat.f_files > 0 && stat.f_favail < FEW_INODES => {
            Finding::warning("scratch", what, "free inodes, or make the file system with more of them")
        }
        _ => Finding::ok("scratch", what),
    }
}

/// Which isolation levels this node gives.
async fn walls(config: &WorkerConfig, report: &mut Report) {
    let (wanted, tried, scratch) = (config.isolation.wanted, config.isolation.clone(), config.scratch_dir.clone());
    let trials = tokio::task::spawn_blocking(move || isolation::all(&tried, &scratch)).await.unwrap_or_default();
    let best = trials.iter().find(|trial| trial.outcome.is_ok()).map(|trial| trial.level);
    for Trial { level, outcome } in trials {
        let is_needed = wanted == Wanted::Level(level) || (wanted == Wanted::Auto && best.is_none());
        match outcome {
            Ok(passed) => {
                let (attacks, took) = (passed.attacks, passed.took.as_millis());
                let said = format!("{level}: {attacks} attacks ended as they should, in {took} ms");
                report.add(Finding::ok("isolation", said));
            }
            Err(reason) if is_needed => report.add(Finding::failure("isolation", format!("{level}: {reason}"), WALLS)),
            Err(reason) => report.add(Finding::warning("isolation", format!("{level}: {reason}"), WALLS)),
        }
    }
}

fn cached(config: &WorkerConfig, path: &Path) -> Finding {
    const SETTING: &str = "set DRYDOCK_CACHE_DIR to a directory this user may write to";
    let limits = made(path).map_err(anyhow::Error::from).and_then(|stat| Ok((stat, node::limits(config, path)?)));
    let (stat, limits) = match limits {
        Ok(found) => found,
        Err(error) => return Finding::failure("cache", format!("{}: {error:#}", path.display()), SETTING),
    };
    let (disk, used) = (disk(path, &stat), mebibytes(kept(path)));
    let (most, spare) = (mebibytes(limits.max_bytes), mebibytes(limits.min_free));
    let what = format!("{disk}; {used} kept of at most {most}, {spare} of the disk stay free");
    if free(&stat) < limits.min_free {
        let remedy =
            "free space on its disk, or set DRYDOCK_CACHE_MIN_FREE_BYTES lower: what is not here cannot be fetched";
        return Finding::warning("cache", what, remedy);
    }
    Finding::ok("cache", what)
}

/// One line a rung: the one that is taken, those that would be better and why they are not to be had, the others.
fn ways(ladder: &Ladder, wanted: Option<Rung>, report: &mut Report) {
    let best = wanted.unwrap_or_else(|| ladder.best());
    for rung in Rung::ALL {
        let name = rung.as_str();
        let Some(refused) = ladder.refused().iter().find(|refused| refused.rung == rung) else {
            let taken = if rung == best { "works, and is taken" } else { "works" };
            report.add(Finding::ok(name, taken));
            continue;
        };
        let (what, remedy) = (format!("refused: {}", refused.reason), rungs::remedy(name, &refused.reason));
        report.add(match wanted {
            Some(wanted) if wanted == rung => {
                let remedy = format!("unset DRYDOCK_MATERIALIZE, which stops the worker here, or {remedy}");
                Finding::failure(name, what, remedy)
            }
            None if rung < best => Finding::warning(name, what, remedy),
            _ => Finding::ok(name, format!("not needed; {what}")),
        });
    }
}

async fn try_rungs(config: &WorkerConfig, cache: &Path) -> anyhow::Result<Ladder> {
    let (scratch, cache, storage) = (config.scratch_dir.clone(), cache.to_owned(), config.storage.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let (scratch, cache) = (place(&scratch)?, place(&cache.join(TEMPORARY))?);
        let registry = Registry::new();
        // Never asked: what is tried is made here.
        let nobody = Credentials { access_key: String::new().into(), secret_key: String::new().into() };
        let storage = Storage::connect(&storage, &nobody, StorageMetrics::register(&registry)?);
        let root = ScratchRoot::open(scratch.path(), 0)?;
        let limits = crate::cache::CacheLimits { max_bytes: u64::MAX, min_free: 0, max_pieces: u64::MAX };
        let node = NodeCache::open(cache.path(), limits, storage, CacheMetrics::register(&registry)?)?;
        anyhow::Ok((root, node, [scratch, cache]))
    });
    let (root, node, places) = opening.await??;
    let downgrades = IntCounterVec::new(Opts::new("downgrades", "Never counted"), &["rung"])?;
    let ladder = Ladder::probe(&node, &root, None, downgrades).await;
    drop((root, node));
    tokio::task::spawn_blocking(move || drop(places)).await?;
    ladder.map_err(|refused| anyhow::anyhow!(refused.reason))
}

fn place(inside: &Path) -> io::Result<TempDir> {
    fs_err::create_dir_all(inside)?;
    tempfile::Builder::new().prefix("doctor-").tempdir_in(inside)
}

fn agents(config: &WorkerConfig, report: &mut Report) {
    let agents = match Agents::load(&config.agents) {
        Ok(agents) => agents,
        Err(error) => return report.add(Finding::failure("agents", chain(&error), "correct DRYDOCK_AGENTS_FILE")),
    };
    report.add(Finding::ok("agents", agents.names().join(", ")));
    for (name, reason) in agents.unavailable() {
        report.add(Finding::warning(
            "agents",
            format!("{name} is not offered: {reason}"),
            "install it, or take it out",
        ));
    }
}

/// The file system below a directory, which is made if it is missing, as a worker would, and can be written to.
fn made(path: &Path) -> io::Result<StatVfs> {
    fs_err::create_dir_all(path)?;
    tempfile::tempfile_in(path)?;
    Ok(statvfs(path)?)
}

fn free(stat: &StatVfs) -> u64 {
    stat.f_bavail.saturating_mul(stat.f_frsize)
}

#[expect(clippy::unnecessary_cast, reason = "the type of this field differs between architectures")]
fn disk(path: &Path, stat: &StatVfs) -> String {
    let kind = statfs(path).map_or("an unknown file system", |stat| file_system(stat.f_type as i64));
    format!("{} on {kind}, {} free", path.display(), mebibytes(free(stat)))
}

/// By the magic numbers of `statfs(2)`.
const fn file_system(magic: i64) -> &'static str {
    match magic & 0xffff_ffff {
        0xef53 => "ext4",
        0x5846_5342 => "XFS",
        0x9123_683e => "Btrfs",
        0xca45_1a4e => "bcachefs",
        0x2fc1_2fc1 => "ZFS",
        0x794c_7630 => "overlay",
        0x0102_1994 => "tmpfs",
        0x6969 => "NFS",
        0x6573_5546 => "FUSE",
        _ => "another file system",
    }
}

/// Bytes of contents in the cache.
fn kept(cache: &Path) -> u64 {
    let files = fs_err::read_dir(cache.join("data")).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.blocks() * 512).sum()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
