//! `Rest`: work that takes long is followed by a pause of so many times as long, so that it never takes more than that share of the time.

use std::future::Future;

use tokio::{sync::Mutex, time::Instant};

/// The pause after work, and when it ends.
pub(super) struct Rest {
    times: u32,
    not_before: Mutex<Instant>,
}

impl Rest {
    /// A pause of `times` as long as the work took; none before the first.
    pub(super) fn of(times: u32) -> Self {
        Self { times, not_before: Mutex::new(Instant::now()) }
    }

    /// Does `work`, or nothing during the pause.
    ///
    /// # Errors
    /// Those of `work`; no pause follows.
    pub(super) async fn between<E>(&self, work: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let mut not_before = self.not_before.lock().await;
        let began = Instant::now();
        if began >= *not_before {
            work.await?;
            let ended = Instant::now();
            *not_before = ended + (ended - began) * self.times;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_followed_by_a_pause_of_so_many_times_as_long() {
        let (rest, done) = (Rest::of(20), Cell::new(0));
        let work = async |seconds| {
            let work = async {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                done.set(done.get() + 1);
                if seconds == 9 { Err("failed") } else { Ok(()) }
            };
            (rest.between(work).await, done.get())
        };
        assert_eq!(work(3).await, (Ok(()), 1));
        assert_eq!(work(3).await, (Ok(()), 1));
        tokio::time::advance(Duration::from_millis(59_999)).await;
        assert_eq!(work(3).await, (Ok(()), 1), "too early");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(work(9).await, (Err("failed"), 2));
        assert_eq!(work(0).await, (Ok(()), 3), "what failed is tried again at once");
        assert_eq!(work(0).await, (Ok(()), 4));
    }
}
