//! `Door`: so many searches at once, of one tenant not more than half of them, so that searching starves neither other requests nor
//! other tenants.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use drydock_domain::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);

/// Lets searches in.
#[derive(Debug)]
pub(crate) struct Door {
    places: Arc<Semaphore>,
    /// Searches of one tenant at once.
    each: usize,
    tenants: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// The right to search; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

/// One of a tenant's searches.
#[derive(Debug)]
struct Share {
    tenants: Arc<Mutex<HashMap<TenantId, usize>>>,
    tenant: TenantId,
}

impl Door {
    /// For `places` searches at once.
    pub(crate) fn new(places: NonZeroUsize) -> Self {
        let places = places.get().min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), each: places.div_ceil(2), tenants: Arc::default() }
    }

    /// Waits a little for a place.
    ///
    /// # Errors
    /// 429: the tenant has its share. 503: all places are taken.
    pub(crate) async fn enter(&self, tenant: TenantId) -> Result<Place, ApiError> {
        let share = self.share(tenant)?;
        let places = Arc::clone(&self.places);
        let permit = tokio::time::timeout(PATIENCE, places.acquire_owned()).await.ok().and_then(Result::ok);
        let busy = ApiError::Unavailable { detail: "Too many searches at once", cause: None };
        Ok(Place { _permit: permit.ok_or(busy)?, _share: share })
    }

    fn share(&self, tenant: TenantId) -> Result<Share, ApiError> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = tenants.entry(tenant).or_default();
        if *taken >= self.each {
            let detail = format!("At most {} searches of a tenant at once", self.each);
            return Err(ApiError::RateLimited { detail, wait: AGAIN });
        }
        *taken += 1;
        Ok(Share { tenants: Arc::clone(&self.tenants), tenant })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tenants.get(&self.tenant).map_or(0, |taken| taken - 1);
        match left {
            0 => drop(tenants.remove(&self.tenant)),
            left => drop(tenants.insert(self.tenant, left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_half_of_the_places_and_all_have_no_more_than_there_are() {
        let door = Door::new(NonZeroUsize::new(3).unwrap());
        let (one, other) = (TenantId::DEFAULT, TenantId::generate());
        let first = door.enter(one).await.unwrap();
        let second = door.enter(one).await.unwrap();
        assert!(matches!(door.enter(one).await, Err(ApiError::RateLimited { .. })));
        let third = door.enter(other).await.unwrap();
        assert!(matches!(door.enter(other).await, Err(ApiError::Unavailable { .. })));
        drop(first);
        let fourth = door.enter(other).await.unwrap();
        assert!(
            matches!(door.enter(one).await, Err(ApiError::Unavailable { .. })),
            "it has its share back, not the place"
        );
        drop((second, third, fourth));
        assert!(door.tenants.lock().unwrap().is_empty());
        door.enter(one).await.unwrap();
    }
}
