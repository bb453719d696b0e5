//! Sessions: servers on a project's workspace that clients reach at `host:port`, nothing between. A session's id is its job's, which waits,
//! is claimed and pushes what was changed as any other. `request` has the fields, `begin` waits until it is ready, `end` until it is over;
//! `older` has the same under the names of older clients.

mod begin;
mod end;
mod list;
mod older;
mod request;
mod show;
mod start;
mod views;

pub(crate) use self::{end::*, list::*, older::*, request::MAX_IDLE_S, show::*, start::*};
