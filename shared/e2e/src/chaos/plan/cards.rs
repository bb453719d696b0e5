//! The deck: one card a kind of fault. What matters more is there more often.
//!
//! A lease lasts 2 s here, its grace 1 s, a claim 1 s, the lead 1 s: `LONG` outlives all of them, `SHORT` none.

use std::ops::Range;

use super::Draw;
use crate::chaos::{
    faults::{Break, Fault, Reply},
    fleet::Link,
};

const SHORT: Range<u64> = 300..1200;
const MEDIUM: Range<u64> = 1000..2500;
const LONG: Range<u64> = 4500..6500;
/// Until an answer that is waited for has come by.
const PATIENT: Range<u64> = 2500..4500;

pub(super) type Card = fn(&mut Draw<'_>) -> Fault;

pub(super) const CARDS: &[Card] = &[
    // Processes.
    |draw| Fault::Kill { service: draw.worker(), ms: draw.ms(50..400) },
    |draw| Fault::Kill { service: draw.worker(), ms: draw.ms(LONG) },
    |draw| Fault::Kill { service: draw.dispatcher(), ms: draw.ms(SHORT) },
    |draw| Fault::Kill { service: draw.dispatcher(), ms: draw.ms(MEDIUM) },
    |draw| Fault::Kill { service: draw.api(), ms: draw.ms(SHORT) },
    |draw| Fault::Freeze { service: draw.worker(), ms: draw.ms(SHORT) },
    |draw| Fault::Freeze { service: draw.worker(), ms: draw.ms(LONG) },
    |draw| Fault::Freeze { service: draw.dispatcher(), ms: draw.ms(MEDIUM) },
    |draw| Fault::FreezeHost { service: draw.worker(), ms: draw.ms(LONG) },
    |draw| Fault::Roll { services: vec![draw.worker()] },
    |draw| Fault::Roll { services: draw.targets.workers.clone() },
    |draw| Fault::Roll { services: vec![draw.dispatcher(), draw.api()] },
    // Ways to PostgreSQL.
    |draw| Fault::Break { service: draw.worker(), link: Link::Postgres, how: Break::Cut, ms: draw.ms(SHORT) },
    |draw| Fault::Break { service: draw.worker(), link: Link::Postgres, how: Break::Stall, ms: draw.ms(SHORT) },
    |draw| Fault::BreakAll { link: Link::Postgres, how: Break::Stall, ms: draw.ms(SHORT) },
    |draw| Fault::Break { service: draw.worker(), link: Link::Postgres, how: Break::Stall, ms: draw.ms(LONG) },
    |draw| Fault::Break { service: draw.worker(), link: Link::Postgres, how: Break::Cut, ms: draw.ms(LONG) },
    |draw| {
        let how = draw.of(&[Break::Deaf, Break::Mute]);
        Fault::Break { service: draw.worker(), link: Link::Postgres, how, ms: draw.ms(SHORT.start..LONG.end) }
    },
    |draw| {
        let how = draw.of(&[Break::Cut, Break::Stall, Break::Deaf, Break::Mute]);
        Fault::Break { service: draw.dispatcher(), link: Link::Postgres, how, ms: draw.ms(MEDIUM) }
    },
    |draw| {
        let how = draw.of(&[Break::Cut, Break::Stall, Break::Deaf, Break::Mute]);
        Fault::Break { service: draw.api(), link: Link::Postgres, how, ms: draw.ms(MEDIUM) }
    },
    |draw| {
        let (service, how) = (draw.worker(), Break::After(draw.ms(200..20_000)));
        Fault::Break { service, link: Link::Postgres, how, ms: draw.ms(MEDIUM) }
    },
    |draw| Fault::Withhold { service: draw.api(), reply: Reply::Accepted, times: 2, ms: draw.ms(PATIENT) },
    |draw| Fault::Withhold { service: draw.worker(), reply: Reply::Claimed, times: 1, ms: draw.ms(PATIENT) },
    |draw| Fault::Withhold { service: draw.worker(), reply: Reply::Finished, times: 2, ms: draw.ms(PATIENT) },
    // Ways to RabbitMQ.
    |draw| {
        let how = draw.of(&[Break::Reset, Break::Cut, Break::Stall, Break::Deaf, Break::Mute]);
        Fault::Break { service: draw.worker(), link: Link::Rabbitmq, how, ms: draw.ms(SHORT.start..LONG.end) }
    },
    |draw| {
        let how = draw.of(&[Break::Reset, Break::Cut, Break::Stall, Break::Deaf, Break::Mute]);
        Fault::Break { service: draw.dispatcher(), link: Link::Rabbitmq, how, ms: draw.ms(SHORT.start..LONG.end) }
    },
    // Ways to S3.
    |draw| {
        let how = draw.of(&[Break::Reset, Break::Cut, Break::Stall, Break::Mute]);
        Fault::Break { service: draw.worker(), link: Link::S3, how, ms: draw.ms(MEDIUM) }
    },
    |draw| Fault::BreakAll { link: Link::S3, how: Break::Cut, ms: draw.ms(SHORT) },
    |draw| Fault::BreakAll { link: Link::S3, how: Break::Slow(draw.ms(20..150)), ms: draw.ms(MEDIUM) },
    // Servers.
    |draw| Fault::StopRabbitmq { ms: draw.ms(MEDIUM) },
    |draw| Fault::AlarmRabbitmq { ms: draw.ms(MEDIUM) },
    |_| Fault::DeleteQueue,
    |draw| Fault::CrashPostgres { ms: draw.ms(SHORT) },
    |draw| Fault::CrashPostgres { ms: draw.ms(MEDIUM) },
    |_| Fault::TerminateBackends { count: 5 },
    |_| Fault::ReplayTickets { count: 20 },
];
