//! Offers that are out: tickets that one worker alone was told of, because it has the job's base version. What it does not
//! claim in time goes to the pool.

use std::{collections::VecDeque, time::Duration};

use drydock_domain::{Dispatch, JobId, WorkerId};
use tokio::time::Instant;

/// In the order they end.
#[derive(Default)]
pub(super) struct Offers {
    out: VecDeque<Offer>,
}

struct Offer {
    until: Instant,
    job: JobId,
    worker: WorkerId,
}

impl Offers {
    /// Takes note of those among `dispatches`, which hold for `wait`; without one nothing is offered. Answers how many there are.
    pub(super) fn make(&mut self, dispatches: &mut [Dispatch], wait: Duration) -> usize {
        let (until, before) = (Instant::now() + wait, self.out.len());
        for dispatch in dispatches {
            match dispatch.near {
                Some(worker) if !wait.is_zero() => {
                    self.out.push_back(Offer { until, job: dispatch.ticket.job, worker });
                }
                _ => dispatch.near = None,
            }
        }
        self.out.len() - before
    }

    /// Which jobs are offered to whom; some may be claimed already.
    pub(super) fn out(&self) -> Vec<(JobId, WorkerId)> {
        self.out.iter().map(|offer| (offer.job, offer.worker)).collect()
    }

    /// Takes those whose time is over.
    pub(super) fn over(&mut self) -> Vec<JobId> {
        let now = Instant::now();
        let over = self.out.iter().take_while(|offer| offer.until <= now).count();
        self.out.drain(..over).map(|offer| offer.job).collect()
    }

    /// Those of `jobs` are no offers any more.
    pub(super) fn withdraw(&mut self, jobs: &[JobId]) {
        self.out.retain(|offer| !jobs.contains(&offer.job));
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.out.front().map(|offer| offer.until)
    }

    pub(super) fn clear(&mut self) {
        self.out.clear();
    }
}

#[cfg(test)]
mod tests {
    use drydock_domain::Ticket;

    use super::*;

    const WAIT: Duration = Duration::from_millis(200);

    fn dispatch(near: Option<WorkerId>) -> Dispatch {
        Dispatch { ticket: Ticket::new(JobId::generate(), 1, "default".to_owned(), 0), near }
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_is_out_until_its_time_is_over() {
        let (mut offers, worker) = (Offers::default(), WorkerId::generate());
        let mut dispatches = [dispatch(Some(worker)), dispatch(None)];
        assert_eq!(offers.make(&mut dispatches, WAIT), 1);
        let job = dispatches[0].ticket.job;
        assert_eq!((offers.out(), offers.over()), (vec![(job, worker)], vec![]));
        tokio::time::advance(WAIT / 2).await;
        offers.make(&mut [dispatch(Some(worker))], WAIT);
        tokio::time::advance(WAIT / 2).await;
        assert_eq!((offers.over(), offers.out().len()), (vec![job], 1));
        offers.withdraw(&[job]);
        assert_eq!(offers.out().len(), 1, "that of another job");
        assert!(offers.next().is_some_and(|next| next == Instant::now() + WAIT / 2));
    }

    #[tokio::test]
    async fn without_a_wait_nothing_is_offered() {
        let (mut offers, mut dispatches) = (Offers::default(), [dispatch(Some(WorkerId::generate()))]);
        assert_eq!((offers.make(&mut dispatches, Duration::ZERO), offers.next()), (0, None));
        assert_eq!(dispatches[0].near, None);
    }
}
