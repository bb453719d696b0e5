//! What goes wrong. Every fault is bounded: it ends by itself, healed, after the time it names.

mod carry_out;
mod network;
mod processes;
mod servers;

use serde::Serialize;

use super::fleet::{Link, Service};

pub(crate) use carry_out::{Arena, Outage, Outcome, carry_out};

/// One fault, with everything that decides what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub(crate) enum Fault {
    /// kill -9; started again after `ms`.
    Kill { service: String, ms: u64 },
    /// SIGSTOP of the process alone, SIGCONT after `ms`. A worker's agents go on meanwhile.
    Freeze { service: String, ms: u64 },
    /// SIGSTOP of a worker and its agents, as a host that is paused.
    FreezeHost { service: String, ms: u64 },
    /// SIGTERM, then a new process, one after another.
    Roll { services: Vec<String> },
    /// A service's way to one server.
    Break { service: String, link: Link, how: Break, ms: u64 },
    /// Every service's way to one server.
    BreakAll { link: Link, how: Break, ms: u64 },
    /// The next answers of PostgreSQL that say so never arrive: what they tell has happened.
    Withhold { service: String, reply: Reply, times: u32, ms: u64 },
    /// `rabbitmqctl stop_app`, `start_app`.
    StopRabbitmq { ms: u64 },
    /// The memory alarm: publishers are blocked.
    AlarmRabbitmq { ms: u64 },
    /// The pool's queue goes with all its tickets.
    DeleteQueue,
    /// `pg_ctl stop -m immediate`, then start.
    CrashPostgres { ms: u64 },
    /// `pg_terminate_backend` of some connections.
    TerminateBackends { count: u32 },
    /// Old tickets are delivered again.
    ReplayTickets { count: u32 },
}

/// How a way breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Break {
    /// Connections are reset and refused.
    Cut,
    /// Connections are reset once.
    Reset,
    /// Nothing gets through, connections stay.
    Stall,
    /// Requests do not arrive.
    Deaf,
    /// Answers do not arrive.
    Mute,
    /// Everything takes this many milliseconds longer.
    Slow(u64),
    /// The connection that carries the last of so many bytes is reset.
    After(u64),
}

/// An answer of PostgreSQL that tells of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// To an API: the job is accepted.
    Accepted,
    /// To a worker: the job is yours.
    Claimed,
    /// To a worker: your result is taken.
    Finished,
}

impl Reply {
    /// How it looks on the wire: a text value with its length before it (PostgreSQL manual, "Message Formats", `DataRow`).
    pub(crate) const fn pattern(self) -> drydock_testing::Pattern {
        match self {
            Self::Accepted => b"\0\0\0\x08accepted",
            Self::Claimed => b"\0\0\0\x07claimed",
            Self::Finished => b"\0\0\0\x02ok",
        }
    }
}

impl Fault {
    /// How long it takes at least, in milliseconds.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Kill { ms, .. }
            | Self::Freeze { ms, .. }
            | Self::FreezeHost { ms, .. }
            | Self::Break { ms, .. }
            | Self::BreakAll { ms, .. }
            | Self::Withhold { ms, .. }
            | Self::StopRabbitmq { ms }
            | Self::AlarmRabbitmq { ms }
            | Self::CrashPostgres { ms } => *ms,
            Self::Roll { services } => 1500 * services.len() as u64,
            Self::DeleteQueue | Self::TerminateBackends { .. } | Self::ReplayTickets { .. } => 0,
        }
    }

    /// What no other fault may touch meanwhile: two that heal each other's would be neither.
    pub(crate) fn claims(&self, services: &[String]) -> Vec<String> {
        let way = |service: &str, link: Link| format!("{service}/{link:?}");
        match self {
            Self::Kill { service, .. } | Self::Freeze { service, .. } | Self::FreezeHost { service, .. } => {
                vec![service.clone()]
            }
            Self::Roll { services } => services.clone(),
            Self::Break { service, link, .. } => vec![way(service, *link)],
            Self::BreakAll { link, .. } => services.iter().map(|service| way(service, *link)).collect(),
            Self::Withhold { service, .. } => vec![way(service, Link::Postgres)],
            Self::StopRabbitmq { .. } | Self::AlarmRabbitmq { .. } | Self::DeleteQueue => vec!["rabbitmq".to_owned()],
            Self::CrashPostgres { .. } => vec!["postgres".to_owned()],
            Self::TerminateBackends { .. } | Self::ReplayTickets { .. } => Vec::new(),
        }
    }
}

/// Ends whatever is wrong with a service's ways.
pub(crate) fn heal(service: &Service) {
    service.links().for_each(drydock_testing::Proxy::heal);
}
