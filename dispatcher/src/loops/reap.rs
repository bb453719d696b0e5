//! Taking back the attempts of workers that are over. A lease that ran out while the database was away, or that another server
//! with another clock gave, says nothing about its worker, so nobody is declared over before this leader has led, and one and
//! the same PostgreSQL has answered it, for a whole lease and its grace (amnesty). Many leases that run out together more likely tell of a network than of dead workers: then nobody is declared
//! over for two more leases (the idea is Kubernetes' eviction rate of unhealthy zones).

use std::time::Duration;

use chrono::{DateTime, Utc};
use drydock_database::{Client, DatabaseError, attempt, worker};
use drydock_runtime::{
    Shutdown,
    exit::chain,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::{Context, Lead};

const BATCH: i64 = 100;
/// Fewer workers than this are never a mass.
const MASS: i64 = 5;
/// Nor is a smaller share of the living.
const MASS_SHARE: f64 = 0.3;

/// The loop, and what it knows of the present.
pub(crate) struct Reaper {
    context: Context,
    guard: Mutex<Guard>,
    /// When the server that answers was started, and since when it answers.
    server: Mutex<Option<(DateTime<Utc>, Instant)>>,
}

impl Reaper {
    pub(crate) fn new(context: Context) -> Self {
        Self { context, guard: Mutex::default(), server: Mutex::new(None) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        let (ttl, grace) = (self.context.config.lease_ttl, self.context.config.lease_grace);
        if grace < ttl / worker::RENEWALS {
            tracing::warn!(
                grace_s = grace.as_secs_f64(),
                least_s = (ttl / worker::RENEWALS).as_secs_f64(),
                "DRYDOCK_LEASE_GRACE is shorter than the time between two renewals of a lease: of workers that are cut off together some \
                 are declared over before it shows that they are many"
            );
        }
        periodic::run(schedule, shutdown, || self.run_once()).await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        let context = &self.context;
        let Some(lead) = context.lead() else {
            self.guard.lock().await.ended();
            return Ok(Next::Wait);
        };
        let client = context.database.client().await?;
        let grace = context.config.lease_grace;
        if self.leases_mean_something(&client, lead).await? && !self.is_mass(&client).await? {
            let ended = worker::end_expired(&client, grace).await?;
            if ended > 0 {
                // Others that run out now were not held yet.
                self.guard.lock().await.ended();
                tracing::warn!(workers = ended, "workers let their lease run out: taking back what they ran");
            }
        }
        let orphaned = attempt::orphaned(&client, BATCH).await?;
        for attempt in &orphaned {
            let answer = match attempt::reap(&client, *attempt, grace).await {
                Err(error) if !error.is_unavailable() => {
                    // One that cannot be taken back must not keep the others.
                    tracing::error!(%attempt, "failed to take back an attempt: {}", chain(&error));
                    continue;
                }
                answer => answer?,
            };
            tracing::info!(attempt = %attempt, answer, "took back an attempt");
            context.metrics.reaped.with_label_values(&[&answer]).inc();
        }
        if !orphaned.is_empty() {
            context.wakes.all();
            context.waker.wake_all();
        }
        Ok(if orphaned.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX) { Next::Again } else { Next::Wait })
    }

    async fn leases_mean_something(&self, client: &Client, lead: Lead) -> Result<bool, DatabaseError> {
        let amnesty = self.context.config.lease_ttl + self.context.config.lease_grace;
        let answers = self.answers_since(worker::server_started(client).await?).await;
        Ok(lead.since.elapsed() >= amnesty && answers.elapsed() >= amnesty)
    }

    /// Since when the server that started then answers us. A failover may be over before anything else tells of it.
    async fn answers_since(&self, started: DateTime<Utc>) -> Instant {
        let mut server = self.server.lock().await;
        match *server {
            Some((known, since)) if known == started => since,
            _ => server.insert((started, Instant::now())).1,
        }
    }

    /// Whether so many leases ran out together that it is better to wait. Those of workers that were cut off together run out over
    /// one period of renewals, which is shorter than the grace (else there is a warning): before the first of them is over, all have.
    async fn is_mass(&self, client: &Client) -> Result<bool, DatabaseError> {
        let leases = worker::leases(client).await?;
        let mass = is_mass(leases);
        let mut guard = self.guard.lock().await;
        if mass && guard.since.is_none() {
            tracing::error!(
                expired = leases.expired,
                workers = leases.workers,
                "many workers let their lease run out together: nobody is declared over for two leases; look at the network"
            );
        }
        let holds = guard.holds(leases, Instant::now(), self.context.config.lease_ttl * 2);
        self.context.metrics.reaping_held.set(holds.into());
        Ok(holds)
    }
}

/// Since when it is held back, for leases that ran out in mass.
#[derive(Default)]
struct Guard {
    since: Option<Instant>,
}

impl Guard {
    /// Whether to hold back at `now`: since there was a mass, for `most`, or until every lease is good again. When the network is back,
    /// workers renew one after another, and those that come last are fewer than a mass.
    fn holds(&mut self, leases: worker::Leases, now: Instant, most: Duration) -> bool {
        let mass = is_mass(leases);
        match self.since {
            None if mass => self.since = Some(now),
            Some(_) if leases.expired == 0 => self.since = None,
            Some(since) if now.duration_since(since) >= most => {
                // The next mass has all its time.
                self.since = self.since.filter(|_| mass);
                return false;
            }
            None | Some(_) => {}
        }
        self.since.is_some()
    }

    /// Those that were held are over, or are no more ours to judge: the next ones have all their time.
    fn ended(&mut self) {
        self.since = None;
    }
}

fn is_mass(leases: worker::Leases) -> bool {
    leases.expired >= MASS && leases.expired as f64 > MASS_SHARE * leases.workers as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_workers_and_three_in_ten_are_a_mass() {
        let mass = |expired, workers| is_mass(worker::Leases { expired, workers });
        assert!(mass(5, 16) && mass(40, 100));
        assert!(!mass(4, 4), "few workers may well die together");
        assert!(!mass(5, 17) && !mass(30, 100), "a few of many");
    }

    /// Of twelve workers so many let their lease run out.
    const fn expired(expired: i64) -> worker::Leases {
        worker::Leases { expired, workers: 12 }
    }

    #[test]
    fn each_wave_is_held_for_its_own_full_time() {
        let (start, most) = (Instant::now(), Duration::from_secs(120));
        let at = |seconds| start + Duration::from_secs(seconds);
        let (few, many) = (expired(4), expired(5));
        let mut guard = Guard::default();
        assert!(!guard.holds(few, at(0), most));
        assert!(guard.holds(many, at(10), most) && guard.holds(many, at(129), most));
        assert!(!guard.holds(many, at(130), most), "two leases are over");
        assert!(!guard.holds(many, at(131), most), "until those that were held are ended");
        guard.ended();
        assert!(guard.holds(many, at(131), most) && guard.holds(many, at(250), most), "the second wave");
        assert!(!guard.holds(few, at(251), most), "some came back, and the others had their time");
        assert!(guard.holds(many, at(253), most) && guard.holds(many, at(372), most), "the third");
    }

    /// Red when it is held back for as long as there is a mass: those that had not renewed yet were over the moment others had.
    #[test]
    fn workers_that_come_back_one_after_another_are_waited_for() {
        let (start, most) = (Instant::now(), Duration::from_secs(120));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut guard = Guard::default();
        for (second, late) in [(10, 5), (40, 5), (41, 4), (42, 1)] {
            assert!(guard.holds(expired(late), at(second), most), "{late} are late after {second} s");
        }
        assert!(!guard.holds(expired(0), at(43), most), "all are back");
        assert!(!guard.holds(expired(4), at(44), most), "few may well die together");
    }
}
