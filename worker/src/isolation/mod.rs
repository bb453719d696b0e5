//! The walls around jobs: which are asked for, which this node gives, and whether they still hold.
//!
//! Owns the decision; the walls are `drydock-jail`'s. Refuses to trust a version or a setting: a level is what its attacks say it is.

mod config;
mod grant;
mod watch;

pub use config::{IsolationConfig, Reach, Wanted};
pub(crate) use grant::{Trial, all, grant};
pub(crate) use watch::watch;
