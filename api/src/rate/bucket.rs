//! `Rate`: the generic cell rate algorithm (ITU-T I.371) by tenant, told in the headers of draft-ietf-httpapi-ratelimit-headers-11.

use std::{num::NonZeroU32, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use drydock_domain::TenantId;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

type Limiter = RateLimiter<TenantId, DefaultKeyedStateStore<TenantId>, DefaultClock, StateInformationMiddleware>;

/// So many requests of a kind a second for each tenant, and so many at once.
pub(crate) struct Rate {
    kind: &'static Kind,
    limiter: Limiter,
    rate: NonZeroU32,
    burst: NonZeroU32,
}

/// What is counted.
#[derive(Debug)]
struct Kind {
    /// In headers.
    name: &'static str,
    requests: &'static str,
    advice: &'static str,
}

const JOBS: Kind = Kind {
    name: "jobs",
    requests: "requests a second that make jobs",
    advice: "submit many jobs as one batch (POST /api/v1/batches)",
};
const CHANGES: Kind = Kind {
    name: "changes",
    requests: "requests a second that may change something",
    advice: "come again after the seconds of Retry-After",
};

impl Rate {
    /// Of requests that make jobs.
    pub(crate) fn of_jobs(rate: u32, burst: NonZeroU32) -> Option<Self> {
        Self::new(&JOBS, rate, burst)
    }

    /// Of other requests that the audit log records.
    pub(crate) fn of_changes(rate: u32, burst: NonZeroU32) -> Option<Self> {
        Self::new(&CHANGES, rate, burst)
    }

    /// `rate` requests a second with bursts of `burst`; none of a rate of 0, which is no limit.
    fn new(kind: &'static Kind, rate: u32, burst: NonZeroU32) -> Option<Self> {
        let rate = NonZeroU32::new(rate)?;
        let quota = Quota::per_second(rate).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
        Some(Self { kind, limiter, rate, burst })
    }

    /// Waits until one more of `tenant` is not too soon: for what cannot be refused.
    pub(crate) async fn wait(&self, tenant: TenantId) {
        while let Err((wait, _)) = self.take(tenant) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts a request of `tenant`, and tells with which headers to answer.
    ///
    /// # Errors
    /// It comes too soon by this much.
    pub(super) fn take(&self, tenant: TenantId) -> Result<HeaderMap, (Duration, HeaderMap)> {
        match self.limiter.check_key(&tenant) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let full = (self.burst.get() - left.min(self.burst.get())).div_ceil(self.rate.get());
                Ok(self.told(left, full.into()))
            }
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Err((wait, self.told(0, whole_seconds(wait))))
            }
        }
    }

    /// What is left, and in how many seconds more is.
    fn told(&self, left: u32, seconds: u64) -> HeaderMap {
        let window = self.burst.get().div_ceil(self.rate.get());
        let name = self.kind.name;
        let policy = format!("\"{name}\";q={};w={window}", self.burst);
        let state = format!("\"{name}\";r={left};t={seconds}");
        let valid = |text: String| HeaderValue::try_from(text).expect("digits and quotes");
        HeaderMap::from_iter([(POLICY, valid(policy)), (STATE, valid(state))])
    }

    /// The rule in words.
    pub(super) fn words(&self) -> String {
        let Self { kind: Kind { requests, advice, .. }, rate, burst, .. } = self;
        format!("At most {rate} {requests}, {burst} at once; {advice}")
    }
}

/// Rounded up: who comes after it is not too soon again.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_burst_and_then_its_rate() {
        let rate = Rate::of_jobs(1, NonZeroU32::new(3).unwrap()).unwrap();
        let (one, other) = (TenantId::DEFAULT, TenantId::generate());
        for left in [2, 1, 0] {
            let told = rate.take(one).unwrap();
            assert_eq!(told[POLICY], "\"jobs\";q=3;w=3");
            assert_eq!(told[STATE], format!("\"jobs\";r={left};t={}", 3 - left));
        }
        let (wait, told) = rate.take(one).unwrap_err();
        assert!(wait <= Duration::from_secs(1) && wait > Duration::from_millis(500), "{wait:?}");
        assert_eq!(told[STATE], "\"jobs\";r=0;t=1");
        assert!(rate.take(other).is_ok());
        assert!(Rate::of_jobs(0, NonZeroU32::MIN).is_none());
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        let told = [0, 1, 999, 1000, 1001].map(|millis| whole_seconds(Duration::from_millis(millis)));
        assert_eq!(told, [0, 1, 1, 1, 2]);
    }
}
