//! Ways that break.

use std::time::Duration;

use chrono::Utc;
use drydock_testing::{Direction, Proxy};

use super::{
    Break, Reply,
    carry_out::{Arena, meanwhile},
};
use crate::chaos::fleet::{Link, Role, Service};

pub(super) async fn break_one(arena: &Arena, service: &Service, link: Link, how: Break, ms: Duration) {
    let from = Utc::now();
    spoil(service.link(link), how);
    meanwhile(ms).await;
    service.link(link).heal();
    if service.role == Role::Worker && link == Link::Postgres && silences(how) {
        arena.outage(Some(&service.name), from);
    }
}

pub(super) async fn break_all(arena: &Arena, link: Link, how: Break, ms: Duration) {
    let from = Utc::now();
    let ways = || arena.fleet.services().iter().map(|service| service.link(link));
    ways().for_each(|way| spoil(way, how));
    meanwhile(ms).await;
    ways().for_each(Proxy::heal);
    if link == Link::Postgres && silences(how) {
        arena.outage(None, from);
    }
}

pub(super) async fn withhold(service: &Service, reply: Reply, times: u32, ms: Duration) {
    let way = service.link(Link::Postgres);
    way.cut_reply(reply.pattern(), times);
    meanwhile(ms).await;
    way.heal();
}

fn spoil(way: &Proxy, how: Break) {
    match how {
        Break::Cut => way.cut(),
        Break::Reset => way.reset(),
        Break::Stall => way.stall(),
        Break::Deaf => way.half_open(Direction::ToServer),
        Break::Mute => way.half_open(Direction::ToClient),
        Break::Slow(ms) => way.delay(Duration::from_millis(ms)),
        Break::After(bytes) => way.cut_after(bytes),
    }
}

/// Whether nothing can be asked meanwhile.
const fn silences(how: Break) -> bool {
    matches!(how, Break::Cut | Break::Stall | Break::Deaf | Break::Mute)
}
