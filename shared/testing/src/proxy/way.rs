//! The state of a way to a server, as all its connections see it.

use std::time::Duration;

/// From whom to whom bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client says.
    ToServer,
    /// What the server answers.
    ToClient,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) cut: bool,
    /// Connections of an older epoch are reset.
    pub(super) epoch: u64,
    pub(super) to_server_held: bool,
    pub(super) to_client_held: bool,
    pub(super) delay: Duration,
}

impl Way {
    pub(super) const fn passes(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => !self.to_server_held,
            Direction::ToClient => !self.to_client_held,
        }
    }

    /// Whether nothing gets through at all: not even the packets that open a connection.
    pub(super) const fn is_stalled(&self) -> bool {
        self.to_server_held && self.to_client_held
    }
}
