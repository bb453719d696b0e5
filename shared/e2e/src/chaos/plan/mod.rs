//! The plan: which fault, when, on whom, for how long, all of it decided by the seed before anything starts.

mod cards;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::Serialize;

use super::faults::Fault;
use cards::CARDS;

/// Before the first fault: jobs must be running.
const LEAD_IN: u64 = 2000;
/// Between two faults, in milliseconds. They last longer than that, so several are always under way.
const GAP: std::ops::Range<u64> = 600..1800;
/// After a fault, until another may touch the same thing.
const REST: u64 = 800;

/// One fault at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// Milliseconds after the clients began.
    pub(crate) at: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub(crate) fault: Fault,
}

/// Who can be hit, by name.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    /// The workers.
    pub(crate) workers: Vec<String>,
    /// The dispatchers.
    pub(crate) dispatchers: Vec<String>,
    /// The APIs.
    pub(crate) apis: Vec<String>,
}

impl Targets {
    fn all(&self) -> Vec<String> {
        [self.apis.as_slice(), &self.dispatchers, &self.workers].concat()
    }
}

/// The plan of a seed. Cards are dealt from a shuffled deck, so that each kind of fault comes up before any comes again.
pub(crate) fn plan(seed: u64, duration: Duration, targets: &Targets) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let end = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let services = targets.all();
    let (mut free, mut steps, mut now) = (BTreeMap::<String, u64>::new(), Vec::new(), LEAD_IN);
    let mut deck = Vec::new();
    while now < end {
        let fault = deal(&mut deck, &mut rng, targets);
        let claims = fault.claims(&services);
        let at = claims.iter().filter_map(|claim| free.get(claim)).copied().fold(now, u64::max);
        let over = at + fault.length() + REST;
        if over < end {
            free.extend(claims.into_iter().map(|claim| (claim, over)));
            steps.push(Step { at, fault });
        }
        now += rng.random_range(GAP);
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn deal(deck: &mut Vec<usize>, rng: &mut impl Rng, targets: &Targets) -> Fault {
    if deck.is_empty() {
        deck.extend(0..CARDS.len());
        deck.shuffle(rng);
    }
    let card = deck.pop().unwrap_or_default();
    CARDS[card](&mut Draw { rng, targets })
}

/// What a card draws its details from.
struct Draw<'a> {
    rng: &'a mut dyn Rng,
    targets: &'a Targets,
}

impl Draw<'_> {
    fn ms(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.rng.random_range(range)
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.rng.random_range(0..choices.len())].clone()
    }

    fn worker(&mut self) -> String {
        let workers = &self.targets.workers;
        self.of(workers)
    }

    fn dispatcher(&mut self) -> String {
        let dispatchers = &self.targets.dispatchers;
        self.of(dispatchers)
    }

    fn api(&mut self) -> String {
        let apis = &self.targets.apis;
        self.of(apis)
    }
}
