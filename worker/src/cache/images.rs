//! Mounted images: one mount a tree, under the workspaces of all jobs that start from it.

use std::{
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use drydock_domain::{Digest, TenantId, Tree};
use drydock_storage::Manifest;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::MountAttrFlags,
};

use super::{
    CacheError, Loaded, Lower, NodeCache,
    budget::{Reserved, Space},
    data::DataFile,
    image::{Layout, write_image},
    restore::{MOUNTS, TEMPORARY},
    state::Known,
};
use crate::{
    kill_point::{KillPoint, pass},
    mount::{self, MountError, Mounting},
};

/// Images mounted, at most, as long as some of them have no job that needs them.
const IDLE_MAX: usize = 256;

/// A mounted image; unmounted when its last user lets go.
#[derive(Debug)]
pub(crate) struct Image {
    mount: PathBuf,
    data: Vec<Arc<DataFile>>,
    used: AtomicU64,
    _reserved: Option<Reserved>,
}

impl Lower for Image {
    fn path(&self) -> &Path {
        &self.mount
    }
}

impl Image {
    pub(super) fn uses(&self, data: &Arc<DataFile>) -> bool {
        self.data.iter().any(|used| Arc::ptr_eq(used, data))
    }

    /// The data files it points into.
    pub(super) fn data(&self) -> &[Arc<DataFile>] {
        &self.data
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> u64 {
        self._reserved.as_ref().map_or(0, Reserved::bytes)
    }

    fn touch(&self, now: u64) {
        self.used.fetch_max(now, Ordering::Relaxed);
        self.data.iter().for_each(|data| data.touch(now));
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let gone = mount::unmount(&self.mount).and_then(|()| fs_err::remove_dir(&self.mount));
        if let Err(error) = gone {
            tracing::warn!(%error, "an image could not be unmounted, left to the next start");
        }
    }
}

impl NodeCache {
    /// The image of the version with this tree, if it is here. Cheap.
    pub(crate) fn find_image(&self, tenant: TenantId, tree: Digest) -> Option<Arc<Image>> {
        let now = self.inner.state.tick();
        let image = Arc::clone(self.inner.state.lock().images.get(&(tenant, tree))?);
        image.touch(now);
        if let Some(damaged) = image.data.iter().find(|data| !data.is_whole()) {
            self.forget(damaged);
            return None;
        }
        self.inner.metrics.images_found.inc();
        Some(image)
    }

    /// The image of a version, made if it is not here.
    pub(crate) async fn image(&self, tenant: TenantId, manifest: &Arc<Manifest>) -> Result<Arc<Image>, CacheError> {
        if let Some(image) = self.find_image(tenant, manifest.tree_id()) {
            return Ok(image);
        }
        let loaded = self.load(tenant, manifest).await?;
        let flight = self.inner.flights.board((tenant, manifest.tree_id())).await;
        if let Some(image) = self.find_image(tenant, manifest.tree_id()) {
            return Ok(image);
        }
        let (cache, manifest) = (self.clone(), Arc::clone(manifest));
        let making = tokio::task::spawn_blocking(move || {
            let _until_made = flight;
            cache.make_image(tenant, &manifest, loaded)
        });
        making.await.map_err(|_| CacheError::Interrupted)?
    }

    fn make_image(&self, tenant: TenantId, manifest: &Manifest, loaded: Loaded) -> Result<Arc<Image>, CacheError> {
        let began = std::time::Instant::now();
        let reserve = |bytes| self.reserve(Space { bytes, inodes: 2, pieces: 0 }).map(Some);
        let image = Arc::new(self.mounted(manifest.tree(), loaded, reserve)?);
        let mut known = self.inner.state.lock();
        let gone = [known.images.insert((tenant, manifest.tree_id()), Arc::clone(&image)), surplus(&mut known)];
        drop(known);
        // Unmounts, without the lock.
        drop(gone);
        self.inner.metrics.image_seconds.observe(began.elapsed().as_secs_f64());
        Ok(image)
    }

    /// Writes and mounts the image of a tree, as long as there is room. Blocking.
    pub(super) fn mounted(
        &self,
        tree: &Tree,
        loaded: Loaded,
        reserve: impl FnOnce(u64) -> Result<Option<Reserved>, CacheError>,
    ) -> Result<Image, CacheError> {
        let directory = &self.inner.directory;
        let layout = Layout::of(tree, loaded.data.len()).map_err(CacheError::io("lay out an image", directory))?;
        let mut reserved = reserve(layout.bytes())?;
        let image = write(&directory.join(TEMPORARY), &layout, &loaded)?;
        reserved.iter_mut().for_each(Reserved::allocated);
        pass(KillPoint::ImageWritten);
        let mount = directory.join(MOUNTS).join(format!("{:016x}", rand::random::<u64>()));
        fs_err::create_dir(&mount).map_err(CacheError::io("create a directory", &mount))?;
        if let Err(error) = mount_image(&image, &loaded.data, &mount) {
            let _empty = fs_err::remove_dir(&mount);
            return Err(CacheError::Mount(error));
        }
        pass(KillPoint::ImageMounted);
        let used = AtomicU64::new(self.inner.state.tick());
        Ok(Image { mount, data: loaded.data, used, _reserved: reserved })
    }
}

/// Takes out the image that was not wanted for longest, when there are too many.
fn surplus(known: &mut Known) -> Option<Arc<Image>> {
    if known.images.len() <= IDLE_MAX { None } else { oldest_idle(known) }
}

/// Takes out the image that was not wanted for longest of those nobody uses.
pub(super) fn oldest_idle(known: &mut Known) -> Option<Arc<Image>> {
    let idle = known.images.iter().filter(|(_, image)| Arc::strong_count(image) == 1);
    let oldest = idle.min_by_key(|(_, image)| image.used.load(Ordering::Relaxed)).map(|(key, _)| *key);
    oldest.and_then(|key| known.images.remove(&key))
}

/// The image as a file without a name: it goes with its mount.
fn write(directory: &Path, layout: &Layout<'_>, loaded: &Loaded) -> Result<OwnedFd, CacheError> {
    let failed = |error| CacheError::io("write an image", directory)(error);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| failed(errno.into()))?;
    let mut file = File::from(file);
    let devices: Vec<u32> = loaded.data.iter().map(|data| data.blocks()).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let written = write_image(&mut file, layout, &devices, loaded.extents.iter().copied(), now);
    written.map_err(failed)?;
    Ok(file.into())
}

fn mount_image(image: &OwnedFd, data: &[Arc<DataFile>], on: &Path) -> Result<(), MountError> {
    let failed = || MountError::of("erofs");
    let target = mount::handle(on).map_err(failed())?;
    let handles = data.iter().map(|data| mount::handle(data.path())).collect::<rustix::io::Result<Vec<_>>>();
    let handles = handles.map_err(failed())?;
    let mounting = Mounting::of("erofs")?.place("source", image.as_fd());
    let mounting = handles.iter().fold(mounting, |mounting, data| mounting.place("device", data));
    let attributes =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    mounting.mount(target, attributes)
}
