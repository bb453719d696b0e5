//! A job's places and ends: what happens besides, whichever call caused it.

use drydock_domain::{JobState, Outcome};

use super::{Job, NOW, When, World};
use crate::protocol::op::{Kind, Label, id};

/// How often each fault of ours is forgiven.
const INFRA: i16 = 20;
const CONFLICTS: i16 = 5;
const LOSSES: i16 = 3;

impl Job {
    pub(crate) const fn is_active(&self) -> bool {
        matches!(self.state, JobState::Queued | JobState::Dispatched | JobState::Running)
    }
}

impl World {
    pub(super) fn tell(&mut self, job: Label, detail: &str) {
        let told = &self.jobs[&job];
        self.told.push((job, told.state.status().as_str().to_owned(), detail.to_owned(), i64::from(told.attempts)));
    }

    /// A project has three places, one for a writer, which is given first; then by priority and arrival.
    pub(super) fn fill_places(&mut self, project: Label) -> Vec<Label> {
        let mut given = Vec::new();
        loop {
            let of_project = || self.jobs.iter().filter(|(_, job)| job.project == project);
            let active: Vec<&Job> = of_project().map(|(_, job)| job).filter(|job| job.is_active()).collect();
            let written = active.iter().any(|job| !job.read_only);
            let next = of_project()
                .filter(|(_, job)| job.state == JobState::Pending && (job.read_only || !written))
                .min_by_key(|(_, job)| (job.read_only, std::cmp::Reverse(job.priority), job.arrival))
                .map(|(label, _)| *label);
            let Some(next) = next.filter(|_| active.len() < 3) else { return given };
            let job = self.jobs.get_mut(&next).unwrap();
            (job.state, job.queued, job.run_at) = (JobState::Queued, NOW, NOW);
            given.push(next);
        }
    }

    /// Hands free places over and tells of it.
    pub(super) fn promote(&mut self, project: Label) {
        for job in self.fill_places(project) {
            self.tell(job, "queued");
        }
    }

    /// A job is over: told, unlinked, and its place handed over.
    pub(super) fn end(&mut self, label: Label, state: JobState, detail: &str) {
        let job = self.jobs.get_mut(&label).unwrap();
        (job.state, job.current, job.backing_off, job.finished) = (state, None, false, NOW);
        let project = job.project;
        self.tell(label, detail);
        self.edges.retain(|(job, _), _| *job != label);
        for (_, ended) in self.edges.iter_mut().filter(|((_, on), ended)| *on == label && ended.is_none()) {
            *ended = Some(state);
        }
        self.promote(project);
    }

    /// What becomes of a job whose attempt ended so.
    pub(super) fn after_attempt(&mut self, label: Label, outcome: Outcome, detail: Option<&str>) -> JobState {
        let job = self.jobs.get_mut(&label).unwrap();
        match outcome {
            Outcome::Failed | Outcome::Timeout => job.failures += 1,
            Outcome::Infra => job.infra += 1,
            Outcome::Conflict => job.conflicts += 1,
            Outcome::Lost => job.losses += 1,
            Outcome::Succeeded | Outcome::Interrupted | Outcome::Canceled => {}
        }
        job.failure_kind = match outcome {
            Outcome::Succeeded => None,
            Outcome::Failed => Some("agent"),
            other => Some(other.as_str()),
        };
        let state = if outcome == Outcome::Succeeded {
            JobState::Succeeded
        } else if outcome == Outcome::Canceled || job.cancel != When::Never {
            JobState::Canceled
        } else if job.failures > job.retries {
            JobState::Failed
        } else if job.infra >= INFRA || job.conflicts >= CONFLICTS || job.losses >= LOSSES {
            JobState::Dead
        } else {
            JobState::Queued
        };
        if state == JobState::Queued {
            let wait = back_off(job, outcome);
            (job.state, job.current, job.queued) = (state, None, NOW);
            (job.backing_off, job.run_at) = (wait.1 > 0.0, When::Fresh { from: wait.0, to: wait.1 });
            self.tell(label, "retrying");
        } else {
            if state == JobState::Dead {
                job.errors.push(given_up(outcome, detail));
            }
            self.end(label, state, if state == JobState::Dead { "dead" } else { state.status().as_str() });
        }
        state
    }

    pub(super) fn uuid_of(job: Label) -> uuid::Uuid {
        id(Kind::Job, job)
    }
}

/// The shortest and the longest wait, seconds.
fn back_off(job: &Job, outcome: Outcome) -> (f64, f64) {
    match outcome {
        Outcome::Interrupted | Outcome::Conflict => (0.0, 0.0),
        Outcome::Lost => match job.losses {
            1 => (0.0, 0.0),
            2 => (10.0, 10.0),
            _ => (30.0, 30.0),
        },
        _ => {
            let base = f64::from(2_u32.pow(u32::from((job.failures + job.infra).unsigned_abs()).min(10))).min(600.0);
            (base * 0.5, base * 1.5)
        }
    }
}

fn given_up(outcome: Outcome, detail: Option<&str>) -> String {
    let why = match outcome {
        Outcome::Lost => "three workers were lost while they ran it",
        Outcome::Conflict => "five times the project had moved on meanwhile",
        _ => "twenty faults of the infrastructure",
    };
    format!("given up: {why}; the last: {}", detail.unwrap_or("no detail"))
}
