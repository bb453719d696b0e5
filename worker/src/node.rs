//! What this node offers: its cache, and the best way to make workspaces from it. Found out once, at start.

use std::{sync::Arc, time::Duration};

use drydock_runtime::{
    Shutdown,
    exit::Exit,
    periodic::{self, Next, Schedule},
};
use drydock_storage::{Limits, ManifestCache, Storage};
use rustix::fs::statvfs;

use crate::{
    WorkerConfig,
    cache::{CacheError, CacheLimits, CacheMetrics, NodeCache},
    metrics::WorkerMetrics,
    workspace::{Ladder, Materializer, ScratchRoot, scratch::CACHE},
};

/// Bytes of decoded manifests kept.
const MANIFEST_CACHE: usize = 32 << 20;
/// What stays free on the cache's disk where nothing is set, unless that is more than a twentieth of it.
const MIN_FREE: u64 = 2 << 30;
/// Between two looks at the disk: few disks take what must stay free in less.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Opens the cache and tries the rungs. What an earlier worker left in the cache is found again in the background.
pub(crate) async fn materializer(
    config: &WorkerConfig,
    scratch: &ScratchRoot,
    storage: &Storage,
    cache_metrics: CacheMetrics,
    metrics: &WorkerMetrics,
) -> Result<Materializer, Exit> {
    let path = config.cache_dir.clone().unwrap_or_else(|| scratch.path().join(CACHE));
    let (config, storage_of_cache) = (config.clone(), storage.clone());
    let opening = tokio::task::spawn_blocking(move || {
        fs_err::create_dir_all(&path)?;
        let path = fs_err::canonicalize(path)?;
        let limits = limits(&config, &path)?;
        Ok::<_, anyhow::Error>((NodeCache::open(&path, limits, storage_of_cache, cache_metrics)?, config.materialize))
    });
    let (cache, wanted) = opening.await.map_err(|error| Exit::Failure(error.into()))?.map_err(Exit::Usage)?;
    let ladder = Ladder::probe(&cache, scratch, wanted, metrics.downgrades.clone()).await.map_err(|refused| {
        let rung = refused.rung;
        Exit::Usage(anyhow::anyhow!("DRYDOCK_MATERIALIZE={rung} is not to be had on this node: {}", refused.reason))
    })?;
    for refused in ladder.refused() {
        tracing::warn!(rung = %refused.rung, "this node cannot make workspaces this way: {}", refused.reason);
    }
    tracing::info!(rung = %ladder.best(), cache = %cache.directory().display(), "workspaces are made this way");
    restore(cache.clone());
    let manifests = Arc::new(ManifestCache::new(MANIFEST_CACHE, Limits::default()));
    Ok(Materializer::new(cache, storage.clone(), manifests, ladder))
}

pub(crate) fn limits(config: &WorkerConfig, path: &std::path::Path) -> anyhow::Result<CacheLimits> {
    let stat = statvfs(path).map_err(std::io::Error::from)?;
    let disk = stat.f_blocks.saturating_mul(stat.f_frsize);
    Ok(CacheLimits {
        max_bytes: config.cache_max_bytes.unwrap_or(disk / 2),
        min_free: config.cache_min_free_bytes.unwrap_or_else(|| (disk / 20).min(MIN_FREE)),
        max_pieces: config.cache_max_pieces,
    })
}

/// Keeps the cache within its bounds while workspaces take disk as well.
pub(crate) async fn give_back(cache: NodeCache, shutdown: Shutdown) {
    let schedule = Schedule { name: "cache", period: GIVING_BACK, pause: Duration::ZERO, wake: Arc::default() };
    periodic::run(schedule, shutdown, || {
        let cache = cache.clone();
        async move {
            let giving = tokio::task::spawn_blocking(move || cache.give_back());
            giving.await.map_err(|_| CacheError::Interrupted)?.map(|()| Next::Wait)
        }
    })
    .await;
}

fn restore(cache: NodeCache) {
    tokio::task::spawn_blocking(move || match cache.restore() {
        Ok(files) => tracing::info!(files, "contents an earlier worker left are found again"),
        Err(error) => {
            tracing::warn!("contents an earlier worker left are not used: {}", drydock_runtime::exit::chain(&error));
        }
    });
}
