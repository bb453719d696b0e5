//! Ends of waits, in the order one call makes them: time, back-off, dependencies, deadlines.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use drydock_domain::JobState;

use super::{Answer, Job, NOW, World};
use crate::protocol::op::Label;

impl World {
    /// Whether a batch would cut between jobs whose wait is over.
    pub(super) fn is_ambiguous(&self, batch: i32, now: DateTime<Utc>) -> bool {
        let batch = usize::try_from(batch).unwrap();
        let crowded = |wanted: &dyn Fn(&Job) -> bool| self.jobs.values().filter(|job| wanted(job)).count() > batch;
        crowded(&|job| is_due(job, now)) || crowded(&|job| is_ready(job, now)) || crowded(&|job| is_late(job, now))
    }

    pub(super) fn end_waits(&mut self, batch: i32, now: DateTime<Utc>) -> Answer {
        let due = self.due(now);
        let ready = self.ready(now);
        let depend = self.depend(usize::try_from(batch).unwrap());
        let expired = self.expire(now);
        Answer::Moved([due, ready, depend, expired])
    }

    fn select(&self, wanted: impl Fn(&Job) -> bool) -> Vec<Label> {
        self.jobs.iter().filter(|(_, job)| wanted(job)).map(|(label, _)| *label).collect()
    }

    fn due(&mut self, now: DateTime<Utc>) -> i32 {
        let due = self.select(|job| is_due(job, now));
        for job in &due {
            self.jobs.get_mut(job).unwrap().state = JobState::Pending;
            self.tell(*job, "pending");
        }
        for job in &due {
            self.promote(self.jobs[job].project);
        }
        count(&due)
    }

    fn ready(&mut self, now: DateTime<Utc>) -> i32 {
        let ready = self.select(|job| is_ready(job, now));
        for job in &ready {
            self.jobs.get_mut(job).unwrap().backing_off = false;
        }
        count(&ready)
    }

    fn depend(&mut self, batch: usize) -> i32 {
        let mut told: BTreeMap<uuid::Uuid, Label> = BTreeMap::new();
        for ((job, _), ended) in &self.edges {
            if ended.is_some() {
                told.insert(Self::uuid_of(*job), *job);
            }
        }
        let told: Vec<Label> = told.into_values().take(batch).collect();
        let settled: Vec<Vec<(Label, JobState)>> = told
            .iter()
            .map(|job| {
                let of_job = self.edges.iter().filter(|((dependent, _), _)| dependent == job);
                let mut ended: Vec<_> = of_job.filter_map(|((_, on), ended)| ended.map(|ended| (*on, ended))).collect();
                ended.sort_by_key(|(on, _)| Self::uuid_of(*on));
                ended
            })
            .collect();
        self.edges.retain(|(job, _), ended| ended.is_none() || !told.contains(job));
        for (job, ended) in told.iter().zip(settled) {
            self.met(*job, &ended);
        }
        count(&told)
    }

    fn met(&mut self, label: Label, ended: &[(Label, JobState)]) {
        let broken: Vec<String> = ended
            .iter()
            .filter(|(_, state)| *state != JobState::Succeeded)
            .map(|(on, state)| {
                format!("job {}, which this one depends on, ended as {}", Self::uuid_of(*on), state.status())
            })
            .collect();
        let job = self.jobs.get_mut(&label).unwrap();
        if broken.is_empty() {
            job.unmet -= i32::try_from(ended.len()).unwrap();
        } else {
            (job.failure_kind, job.errors) = (Some("dependency"), broken);
            self.end(label, JobState::Failed, "error");
        }
    }

    fn expire(&mut self, now: DateTime<Utc>) -> i32 {
        let late = self.select(|job| is_late(job, now));
        // All of them leave before any place is given to another.
        for job in &late {
            let job = self.jobs.get_mut(job).unwrap();
            (job.state, job.failure_kind) = (JobState::Failed, Some("queue_timeout"));
            (job.errors, job.finished) = (vec![format!("not started within {} s", crate::protocol::op::FAR)], NOW);
        }
        for job in &late {
            self.end(*job, JobState::Failed, "error");
        }
        count(&late)
    }
}

fn is_due(job: &Job, now: DateTime<Utc>) -> bool {
    job.state == JobState::Scheduled && job.unmet == 0 && job.run_at.is_past(now)
}

fn is_ready(job: &Job, now: DateTime<Utc>) -> bool {
    job.backing_off && job.run_at.is_past(now)
}

fn is_late(job: &Job, now: DateTime<Utc>) -> bool {
    job.expires.is_past(now) && !job.state.is_terminal() && job.state != JobState::Running
}

fn count(jobs: &[Label]) -> i32 {
    i32::try_from(jobs.len()).unwrap()
}
