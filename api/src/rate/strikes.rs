//! `Strikes`: how often an address has presented keys that are nobody's. The same algorithm as of `Rate`; `governor` can neither look without
//! counting nor be bounded, and addresses are as many as somebody likes to have.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

use crate::{error::ApiError, serve::network};

/// Addresses that are remembered, some 100 bytes each.
const KNOWN: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// So many bad keys of an address, and then one in each `interval`.
pub(crate) struct Strikes {
    interval: Duration,
    burst: NonZeroU32,
    /// When nothing will be left of what each did.
    forgotten_at: Mutex<LruCache<IpAddr, Instant>>,
}

impl Strikes {
    /// `rate` a minute with bursts of `burst`; none of a rate of 0, which is no limit.
    pub(crate) fn new(rate: u32, burst: NonZeroU32) -> Option<Self> {
        let interval = Duration::from_secs(60) / NonZeroU32::new(rate)?.get();
        Some(Self { interval, burst, forgotten_at: Mutex::new(LruCache::new(KNOWN)) })
    }

    /// Counts a bad key.
    ///
    /// # Errors
    /// There were too many: 429. They do not count, so that who goes on is let try again at the same time as who waits.
    pub(crate) fn count(&self, ip: IpAddr) -> Result<(), ApiError> {
        let now = Instant::now();
        let mut known = self.known();
        let was = known.get(&network(ip)).copied().filter(|at| *at > now).unwrap_or(now);
        if let Some(wait) = self.wait(was, now) {
            return Err(self.refused(wait));
        }
        known.put(network(ip), was + self.interval);
        Ok(())
    }

    /// Whether it has presented as many as it may.
    pub(crate) fn are_many(&self, ip: IpAddr) -> bool {
        let now = Instant::now();
        self.known().peek(&network(ip)).is_some_and(|was| self.wait(*was, now).is_some())
    }

    /// How long until one more is not too many.
    fn wait(&self, forgotten_at: Instant, now: Instant) -> Option<Duration> {
        let full = self.interval * self.burst.get();
        let wait = (forgotten_at.saturating_duration_since(now) + self.interval).checked_sub(full)?;
        (!wait.is_zero()).then_some(wait)
    }

    fn refused(&self, wait: Duration) -> ApiError {
        let burst = self.burst;
        let detail = format!(
            "More than {burst} API keys or tokens from this address are nobody's: look at yours, then try again"
        );
        ApiError::RateLimited { detail, wait }
    }

    fn known(&self) -> MutexGuard<'_, LruCache<IpAddr, Instant>> {
        self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_burst_and_then_its_rate() {
        let strikes = Strikes::new(6, NonZeroU32::new(3).unwrap()).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..3 {
            assert!(!strikes.are_many(ip("192.0.2.1")));
            strikes.count(ip("192.0.2.1")).unwrap();
        }
        for _ in 0..100 {
            assert!(strikes.are_many(ip("192.0.2.1")));
            let refused = strikes.count(ip("192.0.2.1")).unwrap_err();
            let ApiError::RateLimited { wait, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(wait, Duration::from_secs(10), "who goes on waits no longer");
        }
        assert!(strikes.count(ip("192.0.2.2")).is_ok() && !strikes.are_many(ip("2001:db8::1")));
        advance(Duration::from_secs(10)).await;
        strikes.count(ip("192.0.2.1")).unwrap();
        assert!(strikes.are_many(ip("192.0.2.1")));
        advance(Duration::from_secs(30)).await;
        for host in 1..=3 {
            strikes.count(ip(&format!("2001:db8::{host}"))).unwrap();
            strikes.count(ip("192.0.2.1")).unwrap();
        }
        assert!(strikes.are_many(ip("2001:db8::ffff")), "a host has a whole /64");
        assert!(Strikes::new(0, NonZeroU32::MIN).is_none());
    }
}
