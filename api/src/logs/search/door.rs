//! `Door`: so many searches at once, of one tenant not more than half of them, so that searching starves neither other requests nor
//! other tenants.

use std::{num::NonZeroUsize, time::Duration};

use drydock_domain::TenantId;

use crate::{
    error::ApiError,
    places::{Full, Place, Places},
};

/// Of all places, one tenant has at most one in so many.
const PART: usize = 2;
/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);

/// Lets searches in.
#[derive(Debug)]
pub(crate) struct Door(Places);

impl Door {
    /// For `places` searches at once.
    pub(crate) fn new(places: NonZeroUsize) -> Self {
        Self(Places::new(places.get(), PART))
    }

    /// Waits a little for the right to search, which is given back when dropped.
    ///
    /// # Errors
    /// 429: the tenant has its share. 503: all places are taken.
    pub(crate) async fn enter(&self, tenant: TenantId) -> Result<Place, ApiError> {
        self.0.wait(tenant, PATIENCE).await.map_err(|full| match full {
            Full::Share { most } => {
                ApiError::RateLimited { detail: format!("At most {most} searches of a tenant at once"), wait: AGAIN }
            }
            Full::All => ApiError::Unavailable { detail: "Too many searches at once", cause: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_with_half_of_the_places_is_told_another_thing_than_whoever_finds_all_taken() {
        let door = Door::new(NonZeroUsize::new(3).unwrap());
        let (one, other) = (TenantId::DEFAULT, TenantId::generate());
        let _first = (door.enter(one).await.unwrap(), door.enter(one).await.unwrap());
        let told = door.enter(one).await.unwrap_err();
        assert!(
            matches!(&told, ApiError::RateLimited { detail, .. } if detail == "At most 2 searches of a tenant at once")
        );
        let _third = door.enter(other).await.unwrap();
        assert!(matches!(door.enter(other).await, Err(ApiError::Unavailable { .. })));
    }
}
