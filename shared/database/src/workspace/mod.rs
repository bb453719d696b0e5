//! The `workspace` and `workspace_token` tables: folders on people's machines that daemons hold, and what lets a daemon in.

mod hold;
mod jobs;
mod token;

/// The pool of jobs that go to daemons. No name of a pool may hold its first character.
pub const POOL: &str = "@workspace";

pub use hold::{Connect, Connected, WorkspaceRow, connect, find, head, home, left, orphans, seen};
pub use jobs::{Handed, cancelled, claim, finish};
pub use token::{NewToken, TokenRow, create_token, list_tokens, revoke_token};
