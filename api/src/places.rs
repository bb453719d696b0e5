//! `Places`: so many of something at once, of one tenant not more than its share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use drydock_domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places, of this process.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    /// Of one tenant.
    each: usize,
    tenants: Tenants,
}

/// Who has how many; no tenant has none.
type Tenants = Arc<Mutex<HashMap<TenantId, usize>>>;

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _share: Share,
    _permit: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The tenant has its share.
    Share {
        /// As many.
        most: usize,
    },
}

/// One of a tenant's places.
#[derive(Debug)]
struct Share {
    tenants: Tenants,
    tenant: TenantId,
}

impl Places {
    /// `most` places, from 1; of one tenant at most one in `part`, rounded up.
    pub(crate) fn new(most: usize, part: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), each: most.div_ceil(part), tenants: Arc::default() }
    }

    /// Takes a place, if there is one now.
    ///
    /// # Errors
    /// There is none for the tenant.
    pub(crate) fn take(&self, tenant: TenantId) -> Result<Place, Full> {
        let share = self.share(tenant)?;
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        Ok(Place { _share: share, _permit: permit })
    }

    /// Takes a place, waiting for `patience` at most where all are taken; it has one of the tenant's meanwhile.
    ///
    /// # Errors
    /// There is none for the tenant.
    pub(crate) async fn wait(&self, tenant: TenantId, patience: Duration) -> Result<Place, Full> {
        let share = self.share(tenant)?;
        let permit = tokio::time::timeout(patience, Arc::clone(&self.all).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or(Full::All)?;
        Ok(Place { _share: share, _permit: permit })
    }

    fn share(&self, tenant: TenantId) -> Result<Share, Full> {
        let mut tenants = lock(&self.tenants);
        let taken = tenants.get(&tenant).copied().unwrap_or_default();
        if taken >= self.each {
            return Err(Full::Share { most: self.each });
        }
        tenants.insert(tenant, taken + 1);
        Ok(Share { tenants: Arc::clone(&self.tenants), tenant })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut tenants = lock(&self.tenants);
        match tenants.get(&self.tenant).map_or(0, |taken| taken - 1) {
            0 => drop(tenants.remove(&self.tenant)),
            left => drop(tenants.insert(self.tenant, left)),
        }
    }
}

fn lock(tenants: &Tenants) -> MutexGuard<'_, HashMap<TenantId, usize>> {
    tenants.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_its_share_and_all_have_no_more_than_there_are() {
        let places = Places::new(3, 2);
        let (one, other) = (TenantId::DEFAULT, TenantId::generate());
        let mut taken = vec![places.take(one).unwrap(), places.take(one).unwrap()];
        assert_eq!(places.take(one).unwrap_err(), Full::Share { most: 2 });
        assert_eq!(places.wait(one, Duration::MAX).await.unwrap_err(), Full::Share { most: 2 }, "nor is it waited for");
        taken.push(places.take(other).unwrap());
        assert_eq!(places.take(other).unwrap_err(), Full::All);
        assert_eq!(places.wait(other, Duration::from_secs(1)).await.unwrap_err(), Full::All);
        drop(taken.remove(0));
        taken.push(places.wait(other, Duration::from_secs(1)).await.unwrap());
        assert_eq!(places.take(one).unwrap_err(), Full::All, "it has its share back, not the place");
        drop(taken);
        assert!(lock(&places.tenants).is_empty());
        places.take(one).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_gets_the_place_that_is_given_back_and_has_no_share_when_it_stops_waiting() {
        let places = Places::new(1, 1);
        let (one, other) = (TenantId::DEFAULT, TenantId::generate());
        let taken = places.take(one).unwrap();
        let waits = places.wait(other, Duration::from_secs(2));
        let frees = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(lock(&places.tenants).len(), 2);
            drop(taken);
        };
        let (place, ()) = tokio::join!(waits, frees);
        drop(place.unwrap());
        assert!(lock(&places.tenants).is_empty());
        let _taken = places.take(one).unwrap();
        let left = tokio::time::timeout(Duration::from_secs(1), places.wait(other, Duration::from_secs(2))).await;
        assert!(left.is_err());
        assert_eq!(lock(&places.tenants).len(), 1);
    }
}
