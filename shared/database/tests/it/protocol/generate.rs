//! Random steps: mostly ones that move something, sometimes late, repeated, misdirected or stale ones.

use drydock_domain::{Isolation, JobState, Outcome, Phase};

use super::{
    model::{Job, When, World},
    op::{Ask, Label, Op, RunAt, Start, ask},
    random::Random,
};

const TENANTS: Label = 3;
const PROJECTS: Label = 6;
const OUTCOMES: [Outcome; 12] = [
    Outcome::Succeeded,
    Outcome::Succeeded,
    Outcome::Succeeded,
    Outcome::Succeeded,
    Outcome::Succeeded,
    Outcome::Failed,
    Outcome::Failed,
    Outcome::Timeout,
    Outcome::Infra,
    Outcome::Interrupted,
    Outcome::Canceled,
    Outcome::Conflict,
];
const PHASES: [Phase; 3] = [Phase::Materializing, Phase::Running, Phase::Pushing];

pub(crate) struct Generator {
    random: Random,
    jobs: Label,
    attempts: Label,
    workers: Label,
}

/// Three tenants of different weight, one capped; six projects in two pools; a leader; two workers.
pub(crate) fn beginning() -> Vec<Op> {
    let mut ops = vec![
        Op::Tenant { tenant: 0, weight: 1, cap: None },
        Op::Tenant { tenant: 1, weight: 3, cap: None },
        Op::Tenant { tenant: 2, weight: 2, cap: Some(2) },
    ];
    for project in 0..PROJECTS {
        ops.push(Op::Project {
            project,
            tenant: project % TENANTS,
            pool: if project < 4 { "a" } else { "b" },
            agent: if project % 2 == 0 { "x" } else { "y" },
            isolation: if project == 3 { Isolation::Landlock } else { Isolation::None },
        });
    }
    ops.push(Op::Lead { holder: 0 });
    ops.push(Op::Start(worker(0, 0, "a")));
    ops.push(Op::Start(worker(1, 1, "b")));
    ops
}

fn worker(worker: Label, instance: u8, pool: &'static str) -> Start {
    Start { worker, instance, pool, slots: 4, agents: &["x", "y"], gpu: true, isolation: Isolation::Landlock }
}

impl Generator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), jobs: 0, attempts: 0, workers: 10 }
    }

    pub(crate) fn next(&mut self, world: &World) -> Op {
        loop {
            let op = match self.random.below(100) {
                0..18 => Some(self.accept(world)),
                18..30 => Some(self.admit()),
                30..46 => self.claim(world),
                46..62 => self.finish(world),
                62..68 => Some(Op::EndWaits { batch: if self.random.one_in(4) { 2 } else { 100 } }),
                68..73 => self.due(world),
                73..79 => Some(self.cancel(world)),
                79..85 => self.ticket(world),
                85..97 => self.worker(world),
                97 => self.random.pick(&[0, 1, 2, 3, 4, 5]).map(|project| Op::Import { project }),
                _ => Some(self.lead()),
            };
            if let Some(op) = op {
                return op;
            }
        }
    }

    fn accept(&mut self, world: &World) -> Op {
        let tenant = Label::try_from(self.random.below(TENANTS.into())).unwrap();
        let many = if self.random.one_in(3) { 2 + self.random.below(5) } else { 1 };
        Op::Accept { tenant, jobs: (0..many).map(|_| self.ask(world, tenant)).collect() }
    }

    fn ask(&mut self, world: &World, tenant: Label) -> Ask {
        let random = &mut self.random;
        let project =
            if random.one_in(30) { PROJECTS - 1 - tenant } else { tenant + TENANTS * Label::from(random.one_in(2)) };
        let mut new = ask(self.jobs, project);
        self.jobs += 1;
        new.command = random.one_in(6);
        new.agent = if random.one_in(8) { Some("z") } else { None };
        new.priority = [0, 0, 0, 3, 9][random.below(5)];
        new.read_only = random.one_in(3);
        new.keep_on_error = random.one_in(4);
        new.retries = [0, 0, 1, 2][random.below(4)];
        new.isolation = if random.one_in(12) { Isolation::Vm } else { Isolation::None };
        new.gpu = random.one_in(8);
        new.queue_timeout = random.one_in(4);
        new.run_at = match random.below(8) {
            0 => Some(RunAt::Future),
            1 => Some(RunAt::Past),
            _ => None,
        };
        if random.one_in(4) {
            let known: Vec<Label> =
                world.jobs.iter().filter(|(_, job)| wanted(job, tenant)).map(|(job, _)| *job).collect();
            new.needs = (0..=random.below(2)).filter_map(|_| random.pick(&known)).collect();
            // Of the same call, perhaps.
            new.needs.extend(if random.one_in(3) { new.job.checked_sub(1) } else { None });
        }
        new.key = if random.one_in(4) {
            Some((u8::try_from(random.below(12)).unwrap(), u8::from(random.one_in(4))))
        } else {
            None
        };
        new
    }

    fn admit(&mut self) -> Op {
        let random = &mut self.random;
        let lookahead = i32::try_from(random.below(3)).unwrap();
        Op::Admit { lookahead, batch: [1, 2, 100][random.below(3)], stale: random.one_in(20) }
    }

    fn claim(&mut self, world: &World) -> Option<Op> {
        let random = &mut self.random;
        if random.one_in(6) {
            // Again, as after a lost reply, by the same or another worker.
            let attempt = random.pick(&labels(&world.attempts))?;
            let known = &world.attempts[&attempt];
            let worker = if random.one_in(3) { random.pick(&labels(&world.workers))? } else { known.worker };
            return Some(Op::Claim { job: known.job, older: i32::from(random.one_in(4)), attempt, worker });
        }
        let state = if random.one_in(10) { JobState::Queued } else { JobState::Dispatched };
        let job = random.pick(&in_state(world, &[state]))?;
        let suited: Vec<Label> = world
            .workers
            .iter()
            .filter(|(_, worker)| !worker.ended && worker.suits(&world.jobs[&job]))
            .map(|(label, _)| *label)
            .collect();
        let any = labels(&world.workers);
        let worker = random.mostly(&suited, 6, &any)?;
        self.attempts += 1;
        Some(Op::Claim { job, older: i32::from(random.one_in(8)), attempt: self.attempts, worker })
    }

    fn finish(&mut self, world: &World) -> Option<Op> {
        let random = &mut self.random;
        let running = running(world);
        let any = labels(&world.attempts);
        let attempt = random.mostly(&running, 5, &any)?;
        let known = &world.attempts[&attempt];
        let job = if random.one_in(12) { random.pick(&labels(&world.jobs))? } else { known.job };
        let outcome = match known.outcome {
            Some(outcome) if !random.one_in(3) => outcome,
            _ => random.pick(&OUTCOMES)?,
        };
        Some(Op::Finish { job, attempt, outcome, tree: !random.one_in(3) })
    }

    fn due(&mut self, world: &World) -> Option<Op> {
        let expiring = |job: &Job| job.expires != When::Never && !job.state.is_terminal();
        if self.random.one_in(3) {
            let late = world.jobs.iter().filter(|(_, job)| expiring(job)).map(|(label, _)| *label);
            let job = self.random.pick(&late.collect::<Vec<_>>())?;
            return Some(Op::Expire { job });
        }
        let waiting = world.jobs.iter().filter(|(_, job)| job.backing_off || job.state == JobState::Scheduled);
        let job = self.random.pick(&waiting.map(|(label, _)| *label).collect::<Vec<_>>())?;
        Some(Op::Due { job })
    }

    fn cancel(&mut self, world: &World) -> Op {
        let random = &mut self.random;
        let live: Vec<Label> =
            world.jobs.iter().filter(|(_, job)| !job.state.is_terminal()).map(|(label, _)| *label).collect();
        let job = random.mostly(&live, 4, &[]);
        let job = job.unwrap_or_else(|| Label::try_from(random.below(usize::from(self.jobs) + 2)).unwrap());
        let owner = world.jobs.get(&job).map_or(0, |job| job.tenant);
        Op::Cancel { tenant: if random.one_in(10) { (owner + 1) % TENANTS } else { owner }, job }
    }

    fn ticket(&mut self, world: &World) -> Option<Op> {
        let random = &mut self.random;
        let dispatched = in_state(world, &[JobState::Dispatched]);
        Some(match random.below(5) {
            0 => {
                let periods = 1 << random.below(6);
                Op::Unclaimed { job: random.pick(&dispatched)?, periods: periods - i64::from(random.one_in(2)) }
            }
            1 | 2 => {
                let named =
                    if random.one_in(2) { random.pick(&labels(&world.jobs)).into_iter().collect() } else { Vec::new() };
                Op::Redispatch { named, batch: if random.one_in(3) { 1 } else { 100 }, stale: random.one_in(10) }
            }
            3 => {
                let job = random.mostly(&dispatched, 4, &labels(&world.jobs))?;
                Op::Return { job, older: i32::from(random.one_in(4)), pause: random.one_in(3) }
            }
            _ => {
                let most = i32::try_from(1 + random.below(3)).unwrap();
                Op::Pull { worker: random.pick(&labels(&world.workers))?, most }
            }
        })
    }

    fn worker(&mut self, world: &World) -> Option<Op> {
        let random = &mut self.random;
        let live: Vec<Label> =
            world.workers.iter().filter(|(_, worker)| !worker.ended).map(|(label, _)| *label).collect();
        let some = if random.one_in(10) { random.pick(&labels(&world.workers)) } else { random.pick(&live) };
        Some(match random.below(12) {
            0..3 => Op::Start(self.new_worker()),
            3 => Op::Drain { worker: some? },
            4 => Op::End { worker: some? },
            5 | 6 => Op::Overdue { worker: some?, by: if random.one_in(2) { 10 } else { 100 } },
            7 => Op::EndExpired,
            8 | 9 => {
                let any = labels(&world.attempts);
                let told = (0..random.below(3)).filter_map(|_| Some((random.pick(&any)?, random.pick(&PHASES)?)));
                Op::Renew { worker: some?, told: told.collect() }
            }
            10 => Op::Log { attempt: random.pick(&running(world))?, text: "last words" },
            _ => {
                let (any, running) = (labels(&world.attempts), running(world));
                Op::Reap { attempt: random.mostly(&running, 4, &any)? }
            }
        })
    }

    fn new_worker(&mut self) -> Start {
        let random = &mut self.random;
        self.workers += 1;
        let instance = u8::try_from(random.below(4)).unwrap();
        let pool = if instance % 2 == 0 { "a" } else { "b" };
        Start {
            slots: i32::try_from(1 + random.below(5)).unwrap(),
            agents: [&["x", "y"][..], &["x"], &["x", "y", "z"]][random.below(3)],
            gpu: random.one_in(2),
            isolation: [Isolation::Landlock, Isolation::None, Isolation::Vm][random.below(3)],
            ..worker(self.workers, instance, pool)
        }
    }

    fn lead(&mut self) -> Op {
        let holder = Label::try_from(self.random.below(2)).unwrap();
        match self.random.below(5) {
            0 => Op::ExpireLead,
            1 => Op::Resign { holder },
            _ => Op::Lead { holder },
        }
    }
}

/// Some dependencies are another tenant's, which is refused.
fn wanted(job: &Job, tenant: Label) -> bool {
    job.tenant == tenant || job.arrival.is_multiple_of(7)
}

fn labels<T>(of: &std::collections::BTreeMap<Label, T>) -> Vec<Label> {
    of.keys().copied().collect()
}

fn in_state(world: &World, states: &[JobState]) -> Vec<Label> {
    world.jobs.iter().filter(|(_, job)| states.contains(&job.state)).map(|(label, _)| *label).collect()
}

fn running(world: &World) -> Vec<Label> {
    world.attempts.iter().filter(|(_, attempt)| attempt.outcome.is_none()).map(|(label, _)| *label).collect()
}
