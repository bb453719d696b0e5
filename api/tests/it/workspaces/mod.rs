//! Workspaces that daemons hold, as the API has them. What a daemon does is here the test's; `shared/e2e` has the real one.

mod connection;
mod daemon;
mod jobs;
mod routes;
mod tokens;
pub(crate) use self::daemon::{Daemon, token};
