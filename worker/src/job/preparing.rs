//! Telling how far a large version is while it is fetched, to those who watch the job. A fast one costs nothing: no row is written
//! before [`QUIET`].

use std::{convert::Infallible, time::Duration};

use drydock_domain::Digest;
use tokio::time::{Instant, sleep};

use super::Attempt;
use crate::cache::Fetched;

/// How long nothing is said.
const QUIET: Duration = Duration::from_secs(2);
/// Between two looks, and so at least between two words.
const EVERY: Duration = Duration::from_secs(1);
/// Each time is a row, so a fetch that takes minutes is told less often: by one [`EVERY`] after each of these, ...
const SLOWER: Duration = Duration::from_secs(20);
/// ... but never less often than this.
const RAREST: Duration = Duration::from_secs(10);

/// Tells for as long as it is let; never ends by itself.
pub(super) async fn tell(attempt: &Attempt) -> Infallible {
    let Some(base) = &attempt.claim.base else { return std::future::pending().await };
    let (cache, tenant) = (attempt.context.materializer.cache(), attempt.claim.spec.tenant_id);
    let tree = Digest::from_bytes(base.tree);
    let began = Instant::now();
    let mut last = None;
    sleep(QUIET).await;
    loop {
        let now = cache.fetched(tenant, tree);
        if let Some(fetched) = now.filter(|_| now != last) {
            attempt.log.progress(text(fetched)).await;
            last = now;
        }
        sleep(pause(began.elapsed())).await;
    }
}

fn pause(elapsed: Duration) -> Duration {
    let times = u32::try_from(elapsed.as_secs() / SLOWER.as_secs()).unwrap_or(u32::MAX);
    EVERY.saturating_mul(times.saturating_add(1)).min(RAREST)
}

fn text(Fetched { done, total }: Fetched) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let at = (1..UNITS.len()).rfind(|at| total >> (10 * (at + 1)) > 0).unwrap_or(0);
    let scaled = |bytes: u64| bytes as f64 / (1_u64 << (10 * (at + 1))) as f64;
    format!("preparing: fetched {:.1} of {:.1} {}", scaled(done), scaled(total), UNITS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_have_the_units_of_the_whole() {
        let cases = [
            (0, 1 << 9, "preparing: fetched 0.0 of 0.5 KiB"),
            (1 << 20, 3 << 19, "preparing: fetched 1.0 of 1.5 MiB"),
            (1 << 29, 20 << 30, "preparing: fetched 0.5 of 20.0 GiB"),
            (1 << 40, 5 << 50, "preparing: fetched 1.0 of 5120.0 TiB"),
        ];
        for (done, total, expected) in cases {
            assert_eq!(text(Fetched { done, total }), expected);
        }
    }

    #[test]
    fn it_is_told_once_a_second_and_less_and_less_often() {
        let seconds = |elapsed| pause(Duration::from_secs(elapsed)).as_secs();
        assert_eq!([2, 19, 20, 60, 3600].map(seconds), [1, 1, 2, 4, 10]);
    }
}
