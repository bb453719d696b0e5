//! Workspaces on people's machines: a daemon holds a folder there, and the jobs of its project run in it. The workspace's id is the
//! project's. `tokens` lets daemons in, `socket` is the connection of one, `action` makes a job and shows it until it is over.

mod action;
mod show;
mod socket;
mod tokens;

pub(crate) use self::{action::*, show::*, socket::*, tokens::*};
