//! Tickets: who may have one, in which order; sending again, handing back, and pulling without the broker.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Utc};
use drydock_domain::JobState;

use super::{Answer, Job, NOW, Verdict, When, World, exactly};
use crate::protocol::op::{Label, UNCLAIMED};

impl World {
    pub(super) fn admit(
        &mut self,
        lookahead: i32,
        batch: i32,
        stale: bool,
        actual: &Answer,
        now: DateTime<Utc>,
    ) -> Verdict {
        if !self.leads(stale) {
            return exactly(Answer::Tickets(BTreeMap::new()), actual);
        }
        let Answer::Tickets(tickets) = actual else { return Err(format!("admit answered {actual:?}")) };
        let chosen: BTreeSet<Label> = tickets.keys().copied().collect();
        let pools: Vec<&'static str> = self.rooms(lookahead, batch, now).into_keys().collect();
        let rooms = self.rooms(lookahead, batch, now);
        // Pools are served in no particular order, which shows where a tenant's cap spans them.
        let mut orders = vec![pools.clone()];
        orders.push(pools.into_iter().rev().collect());
        let legal: Vec<BTreeSet<Label>> = orders.iter().map(|order| self.fair_choice(order, &rooms, now)).collect();
        if !legal.contains(&chosen) {
            return Err(format!("admitted {chosen:?}, legal were {legal:?}"));
        }
        for job in &chosen {
            let job = self.jobs.get_mut(job).unwrap();
            (job.state, job.seq, job.dispatched) = (JobState::Dispatched, job.seq + 1, NOW);
        }
        exactly(Answer::Tickets(self.tickets(chosen)), actual)
    }

    /// Free slots plus lookahead, by pool with an open worker.
    fn rooms(&self, lookahead: i32, batch: i32, now: DateTime<Utc>) -> BTreeMap<&'static str, i32> {
        let mut rooms = BTreeMap::new();
        for worker in self.workers.values().filter(|worker| worker.is_open(now)) {
            *rooms.entry(worker.pool).or_insert(lookahead) += worker.slots;
        }
        let in_flight = self.jobs.values().filter(|job| matches!(job.state, JobState::Dispatched | JobState::Running));
        for job in in_flight.filter(|job| !self.is_on_draining(job, now)) {
            rooms.entry(job.pool).and_modify(|room| *room -= 1);
        }
        rooms.into_iter().map(|(pool, room)| (pool, room.min(batch))).collect()
    }

    /// Whether it has a slot that no other job will have.
    fn is_on_draining(&self, job: &Job, now: DateTime<Utc>) -> bool {
        let attempt = job.current.and_then(|current| self.attempts.get(&current));
        let worker = attempt.filter(|_| job.state == JobState::Running).and_then(|it| self.workers.get(&it.worker));
        worker.is_some_and(|worker| worker.draining && !worker.ended && !worker.lease.is_past(now))
    }

    /// Slot after slot to the tenant that has the least of them for its weight, and within it to the first by priority and time.
    fn fair_choice(
        &self,
        order: &[&'static str],
        rooms: &BTreeMap<&'static str, i32>,
        now: DateTime<Utc>,
    ) -> BTreeSet<Label> {
        let mut chosen = BTreeSet::new();
        for pool in order {
            for _ in 0..rooms[pool].max(0) {
                let Some(next) = self.next_fair(pool, &chosen, now) else { break };
                chosen.insert(next);
            }
        }
        chosen
    }

    fn next_fair(&self, pool: &str, chosen: &BTreeSet<Label>, now: DateTime<Utc>) -> Option<Label> {
        let in_flight = |label: &Label, job: &Job| {
            chosen.contains(label) || matches!(job.state, JobState::Dispatched | JobState::Running)
        };
        let used = |tenant: Label, here: bool| {
            let jobs = self.jobs.iter().filter(|(label, job)| in_flight(label, job) && job.tenant == tenant);
            i32::try_from(jobs.filter(|(_, job)| !here || job.pool == pool).count()).unwrap()
        };
        let mut best: Option<(f64, DateTime<Utc>, uuid::Uuid, Label)> = None;
        for (tenant, terms) in &self.tenants {
            if terms.cap.is_some_and(|cap| used(*tenant, false) >= cap) {
                continue;
            }
            let first = self
                .jobs
                .iter()
                .filter(|(label, job)| {
                    job.tenant == *tenant && job.pool == pool && self.is_ready(job, now) && !chosen.contains(label)
                })
                .min_by_key(|(label, job)| (std::cmp::Reverse(job.priority), job.queued.at(), Self::uuid_of(**label)));
            let Some((label, job)) = first else { continue };
            let share = f64::from(used(*tenant, true) + 1) / f64::from(terms.weight);
            let this = (share, job.queued.at(), Self::uuid_of(*label), *label);
            if best.is_none_or(|best| this.partial_cmp(&best) == Some(Ordering::Less)) {
                best = Some(this);
            }
        }
        best.map(|(.., label)| label)
    }

    fn is_ready(&self, job: &Job, now: DateTime<Utc>) -> bool {
        job.state == JobState::Queued && !job.backing_off && self.is_served(job, now)
    }

    fn is_served(&self, job: &Job, now: DateTime<Utc>) -> bool {
        self.workers.values().any(|worker| worker.is_open(now) && worker.suits(job))
    }

    fn tickets(&self, jobs: impl IntoIterator<Item = Label>) -> BTreeMap<Label, (i32, String, u8)> {
        jobs.into_iter()
            .map(|label| (label, &self.jobs[&label]))
            .map(|(label, job)| (label, (job.seq, job.pool.to_owned(), u8::try_from(job.priority).unwrap())))
            .collect()
    }

    pub(super) fn redispatch(&mut self, named: &[Label], batch: i32, stale: bool, now: DateTime<Utc>) -> Answer {
        if !self.leads(stale) {
            return Answer::Tickets(BTreeMap::new());
        }
        let overdue = |job: &Job| {
            let patience = UNCLAIMED * (1 << job.redispatches.min(4));
            job.dispatched.is_past(now - chrono::Duration::seconds(patience))
        };
        let mut again: Vec<Label> = self
            .jobs
            .iter()
            .filter(|(label, job)| job.state == JobState::Dispatched && (named.contains(label) || overdue(job)))
            .map(|(label, _)| *label)
            .collect();
        again.sort_by_key(|label| Self::uuid_of(*label));
        again.truncate(usize::try_from(batch).unwrap());
        let mut sent = Vec::new();
        for label in again {
            let served = self.is_served(&self.jobs[&label], now);
            let job = self.jobs.get_mut(&label).unwrap();
            if served {
                (job.seq, job.redispatches, job.dispatched) = (job.seq + 1, job.redispatches + 1, NOW);
                sent.push(label);
            } else {
                (job.state, job.redispatches) = (JobState::Queued, 0);
            }
        }
        Answer::Tickets(self.tickets(sent))
    }

    pub(super) fn give_ticket_back(&mut self, label: Label, older: i32, pause: bool) -> Answer {
        let Some(job) = self.jobs.get_mut(&label).filter(|job| job.state == JobState::Dispatched && older == 0) else {
            return Answer::Flag(false);
        };
        (job.state, job.redispatches, job.backing_off) = (JobState::Queued, 0, pause);
        job.run_at = When::after(if pause { crate::protocol::op::FAR } else { 0 });
        Answer::Flag(true)
    }

    /// A random few of the oldest tickets the worker suits.
    pub(super) fn pull(&self, worker: Label, most: i32, actual: &Answer) -> Verdict {
        let Answer::Tickets(tickets) = actual else { return Err(format!("pull answered {actual:?}")) };
        let most = usize::try_from(most).unwrap();
        let mut legal: Vec<Label> = match self.workers.get(&worker).filter(|worker| !worker.ended && !worker.draining) {
            None => Vec::new(),
            Some(worker) => self
                .jobs
                .iter()
                .filter(|(_, job)| job.state == JobState::Dispatched && worker.suits(job))
                .map(|(label, _)| *label)
                .collect(),
        };
        legal.sort_by_key(|label| self.jobs[label].dispatched.at());
        let last = legal.get((4 * most).saturating_sub(1)).map(|label| self.jobs[label].dispatched.at());
        legal.retain(|label| last.is_none_or(|last| self.jobs[label].dispatched.at() <= last));
        if tickets.len() != legal.len().min(most) || tickets.keys().any(|label| !legal.contains(label)) {
            return Err(format!("pulled {tickets:?}, {most} of {legal:?} were expected"));
        }
        exactly(Answer::Tickets(self.tickets(tickets.keys().copied())), actual)
    }
}
