//! `Door`: so many connections at once, and of one address not all of them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::network;
use crate::metrics::ApiMetrics;

/// The connections there are.
pub(super) struct Door {
    all: Arc<Semaphore>,
    each: usize,
    addresses: Addresses,
    metrics: ApiMetrics,
}

/// How many of whom; who has none is not in it.
type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The place of one connection, for as long as its socket is there.
pub(super) struct Place {
    counted: Option<(IpAddr, Addresses)>,
    metrics: ApiMetrics,
    _permit: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The address has as many as one may.
    Address,
}

impl Door {
    pub(super) fn new(all: usize, each: usize, metrics: &ApiMetrics) -> Self {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Self { all, each, addresses: Addresses::default(), metrics: metrics.clone() }
    }

    /// Takes a place, counted for the address if there is one to count it for.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> Result<Place, Full> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let counted = match address.map(network) {
            Some(network) => {
                let mut addresses = lock(&self.addresses);
                let open = addresses.entry(network).or_default();
                if *open >= self.each {
                    return Err(Full::Address);
                }
                *open += 1;
                Some((network, Arc::clone(&self.addresses)))
            }
            None => None,
        };
        self.metrics.connections.inc();
        Ok(Place { counted, metrics: self.metrics.clone(), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
        if let Some((network, addresses)) = &self.counted {
            let mut addresses = lock(addresses);
            if let Some(open) = addresses.get_mut(network) {
                *open -= 1;
                if *open == 0 {
                    addresses.remove(network);
                }
            }
        }
    }
}

fn lock(addresses: &Addresses) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Full {
    /// In the metric.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
        }
    }

    /// What the peer is told, whatever it wanted: nobody reads it for that.
    pub(super) fn answer(self) -> String {
        let detail = match self {
            Self::All => "Too many connections are open",
            Self::Address => "Too many connections are open from this address",
        };
        let id = Uuid::now_v7();
        let body = format!(
            "{{\"error\":\"unavailable\",\"message\":\"Service unavailable\",\"code\":503,\"detail\":\"{detail}\",\"correlation_id\":\"{id}\"}}"
        );
        format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 2\r\n\
             connection: close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\nx-request-id: {id}\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(all: usize, each: usize) -> Door {
        Door::new(all, each, &ApiMetrics::register(&prometheus::Registry::new()).unwrap())
    }

    fn from(door: &Door, address: &str) -> Result<Place, Full> {
        door.enter(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_address_has_its_share_and_all_have_no_more_than_there_is() {
        let door = door(5, 2);
        let places: Vec<Place> = (0..2).map(|_| from(&door, "192.0.2.1").ok().unwrap()).collect();
        assert_eq!(from(&door, "192.0.2.1").err(), Some(Full::Address));
        let others = [from(&door, "2001:db8:1:2::1"), from(&door, "2001:db8:1:2:ffff::1")];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(from(&door, "2001:db8:1:2::3").err(), Some(Full::Address), "a host has a whole /64 of IPv6");
        let proxied = door.enter(None).ok().unwrap();
        assert_eq!(from(&door, "192.0.2.2").err(), Some(Full::All));
        assert_eq!(door.metrics.connections.get(), 5);
        drop((places, others, proxied));
        assert_eq!((door.metrics.connections.get(), lock(&door.addresses).len()), (0, 0), "nothing is left of them");
        assert!(from(&door, "192.0.2.1").is_ok());
    }
}
