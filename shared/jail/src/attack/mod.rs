//! The escape suite: what a hostile program tries from inside, and what has to come of it at every level.
//!
//! Outside, [`suite::run`] lays out canaries and starts this crate's program in the jail; inside, [`inside`] tries each
//! attack in a process of its own. What an attack says of itself counts for less than what became of its canary.

mod arena;
mod call;
mod canary;
mod groups;
mod inside;
mod report;
pub mod suite;
mod table;
mod target;

use std::io;

use drydock_domain::Isolation;

pub use groups::GROUPS;
pub use inside::inside;
pub use report::{Case, Outcome, Report};
pub use table::table;
pub use target::Target;

use crate::Network;

/// Attacks on the same thing.
#[derive(Debug)]
pub struct Group {
    /// Its heading in `SECURITY.md`.
    pub title: &'static str,
    /// What has to be there for each of its attacks.
    pub canaries: Canaries,
    /// In the order in which they are tried.
    pub attacks: &'static [Attack],
}

/// What is laid out for one attack alone, so that what becomes of it is that attack's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canaries {
    /// What all share: listeners, queues, descriptors.
    Shared,
    /// A directory of its own as well.
    Files,
    /// A process of its own as well.
    Process,
}

/// One way to reach what is outside.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// In kebab-case; unique.
    pub name: &'static str,
    /// One line for `SECURITY.md`.
    pub what: &'static str,
    /// What has to come of it: without a jail, at `landlock-weak`, `landlock` and `namespace`.
    at: [Expected; 4],
    /// Succeeds when the attack does.
    attempt: fn(&Target) -> io::Result<()>,
    /// Why it works at every level where the network is not closed, if it does.
    with_ports: Option<&'static str>,
    /// Whether the same call on a thing of its own has to succeed, so that a denial means more than a broken call.
    controlled: bool,
}

/// What has to come of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It fails.
    Denied,
    /// It succeeds, and why that is known and borne.
    Allowed(&'static str),
}

impl Attack {
    const UNJAILED: Expected = Expected::Allowed("there is no jail");

    /// Works without a jail, and at no level of one.
    const fn new(name: &'static str, what: &'static str, attempt: fn(&Target) -> io::Result<()>) -> Self {
        use Expected::Denied;
        Self { name, what, at: [Self::UNJAILED, Denied, Denied, Denied], attempt, with_ports: None, controlled: false }
    }

    /// Has to succeed inside on a thing of the same kind. Of the others only the run without a jail shows that they work.
    const fn controlled(self) -> Self {
        Self { controlled: true, ..self }
    }

    /// Works at `landlock-weak`.
    const fn weak(mut self, reason: &'static str) -> Self {
        self.at[1] = Expected::Allowed(reason);
        self
    }

    /// Works at both levels without namespaces.
    const fn residual(mut self, reason: &'static str) -> Self {
        self.at[2] = Expected::Allowed(reason);
        self.weak(reason)
    }

    /// Works at every level.
    const fn everywhere(mut self, reason: &'static str) -> Self {
        self.at[3] = Expected::Allowed(reason);
        self.residual(reason)
    }

    /// Works at `namespace` alone, on what is its own there.
    const fn in_namespace(mut self, reason: &'static str) -> Self {
        self.at[3] = Expected::Allowed(reason);
        self
    }

    /// Works at every level where the network is open to some ports.
    const fn with_ports(self, reason: &'static str) -> Self {
        Self { with_ports: Some(reason), ..self }
    }

    /// What has to come of it at `level` with `network`.
    pub fn expected(&self, level: Isolation, network: &Network) -> Expected {
        if let Some(reason) = self.with_ports
            && *network != Network::Closed
        {
            return Expected::Allowed(reason);
        }
        match level {
            Isolation::None => self.at[0],
            Isolation::LandlockWeak => self.at[1],
            Isolation::Landlock => self.at[2],
            Isolation::Namespace | Isolation::UserKernel | Isolation::Vm => self.at[3],
        }
    }
}

/// Every attack, group by group.
pub fn attacks() -> impl Iterator<Item = &'static Attack> {
    GROUPS.iter().flat_map(|group| group.attacks)
}

/// Every attack with its group.
fn grouped() -> impl Iterator<Item = (&'static Group, &'static Attack)> {
    GROUPS.iter().flat_map(|group| group.attacks.iter().map(move |attack| (*group, attack)))
}
