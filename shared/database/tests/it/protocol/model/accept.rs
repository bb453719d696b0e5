//! Acceptance: each asked job as if the others of the call had come one after the other, but places by priority.

use chrono::{DateTime, Utc};
use drydock_domain::JobState;

use super::{Answer, Job, NOW, When, World};
use crate::protocol::op::{Ask, FAR, Label, RunAt};

impl World {
    pub(super) fn accept(&mut self, tenant: Label, jobs: &[Ask], now: DateTime<Utc>) -> Answer {
        let mut answers = Vec::new();
        let mut refused_keys = Vec::new();
        let mut fresh = Vec::new();
        for ask in jobs {
            let answer = self.judge(tenant, ask, &refused_keys);
            match (answer, ask.key) {
                (("accepted", _), _) => {
                    self.admit_to_project(tenant, ask, now);
                    fresh.push(ask.job);
                }
                (("no_dependency", _), Some((key, _))) => refused_keys.push(key),
                _ => {}
            }
            answers.push(answer);
        }
        for project in self.projects.keys().copied().collect::<Vec<_>>() {
            let promoted = self.fill_places(project);
            // They were never pending, to the outside.
            for job in promoted {
                self.jobs.get_mut(&job).unwrap().run_at =
                    jobs.iter().find(|ask| ask.job == job).map_or(NOW, |ask| run_at(ask, now));
            }
        }
        for job in fresh {
            self.tell(job, self.jobs[&job].state.as_str());
        }
        Answer::Accepted(answers)
    }

    fn judge(&self, tenant: Label, ask: &Ask, refused_keys: &[u8]) -> (&'static str, Option<Label>) {
        if self.projects.get(&ask.project).is_none_or(|project| project.tenant != tenant || project.deleted) {
            return ("no_project", None);
        }
        if let Some((key, body)) = ask.key {
            match self.keys.get(&(tenant, key)) {
                Some((known, job)) if *known == body => return ("replayed", Some(*job)),
                Some(_) => return ("key_reused", None),
                None if refused_keys.contains(&key) => return ("no_dependency", None),
                None => {}
            }
        }
        let known = |job: &Label| self.jobs.get(job).is_some_and(|job| job.tenant == tenant);
        if ask.needs.iter().all(known) { ("accepted", Some(ask.job)) } else { ("no_dependency", None) }
    }

    fn admit_to_project(&mut self, tenant: Label, ask: &Ask, now: DateTime<Utc>) {
        if let Some((key, body)) = ask.key {
            self.keys.insert((tenant, key), (body, ask.job));
        }
        let mut needs = ask.needs.clone();
        needs.sort_unstable();
        needs.dedup();
        needs.retain(|need| self.jobs[need].state != JobState::Succeeded);
        for need in &needs {
            let state = self.jobs[need].state;
            self.edges.insert((ask.job, *need), state.is_terminal().then_some(state));
        }
        let waits = !needs.is_empty() || ask.run_at == Some(RunAt::Future);
        let state = if waits { JobState::Scheduled } else { JobState::Pending };
        self.arrivals += 1;
        let project = &self.projects[&ask.project];
        let due = if ask.run_at == Some(RunAt::Future) { FAR } else { 0 };
        let job = Job {
            tenant,
            project: ask.project,
            pool: project.pool,
            command: ask.command,
            agent: ask.agent.unwrap_or(project.agent),
            isolation: ask.isolation.max(project.isolation),
            gpu: ask.gpu,
            priority: ask.priority,
            read_only: ask.read_only,
            keep_on_error: ask.keep_on_error,
            retries: ask.retries,
            arrival: self.arrivals,
            state,
            seq: 0,
            redispatches: 0,
            current: None,
            attempts: 0,
            failures: 0,
            infra: 0,
            conflicts: 0,
            losses: 0,
            unmet: i32::try_from(needs.len()).unwrap(),
            backing_off: false,
            failure_kind: None,
            version: None,
            summary: None,
            output: None,
            errors: Vec::new(),
            cancel_reason: None,
            created: NOW,
            run_at: run_at(ask, now),
            queued: When::Never,
            dispatched: When::Never,
            started: When::Never,
            finished: When::Never,
            cancel: When::Never,
            expires: if ask.queue_timeout { When::after(due + FAR) } else { When::Never },
        };
        self.jobs.insert(ask.job, job);
    }
}

fn run_at(ask: &Ask, _now: DateTime<Utc>) -> When {
    match ask.run_at {
        None => NOW,
        Some(RunAt::Past) => When::after(-FAR),
        Some(RunAt::Future) => When::after(FAR),
    }
}
