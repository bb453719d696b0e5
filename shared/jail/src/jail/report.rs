//! What the helper tells the worker, over the socket that is its standard input: a line when the program runs or why it does not, a line
//! when all of it is gone. What the worker tells the helper: a letter.

use std::{
    io::{self, Write as _},
    os::{fd::AsFd, unix::net::UnixStream},
};

use rustix::net::{SocketType, sockopt::socket_type};

use super::fate::Fate;
use crate::{Ended, Order, Started};

/// The way to the worker; none where the helper was started by hand.
pub(super) struct Worker(Option<UnixStream>);

impl Worker {
    /// Takes standard input as the way to the worker, if it is one, and leaves an empty one in its place.
    pub(super) fn from_stdin() -> io::Result<Self> {
        let stdin = io::stdin();
        let is_socket = socket_type(&stdin).is_ok_and(|kind| kind == SocketType::STREAM);
        let worker = if is_socket { Some(UnixStream::from(stdin.as_fd().try_clone_to_owned()?)) } else { None };
        let empty = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&empty)?;
        Ok(Self(worker))
    }

    /// Nobody listens but whoever reads standard error.
    pub(super) fn by_hand() -> Self {
        Self(None)
    }

    /// Closes the way to the worker in a process that is not the supervisor.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }

    /// The socket, to wait for orders on.
    pub(super) fn socket(&self) -> Option<&UnixStream> {
        self.0.as_ref()
    }

    /// Tells how the start went. By hand, that it failed is all that is said.
    pub(super) fn started(&self, started: &Started) {
        if self.0.is_none() && !matches!(started, Started::Running { .. }) {
            let _gone = writeln!(io::stderr(), "drydock-jail: {started}");
        }
        self.tell(&started.to_string());
    }

    /// Tells how the program ended, and of what it had left behind.
    pub(super) fn ended(&self, fate: Fate, killed: u32) {
        let ended = match fate {
            Fate::Exited(code) => Ended::Exited { code, killed },
            Fate::Signaled(signal) => Ended::Signaled { signal, killed },
        };
        self.tell(&ended.to_string());
    }

    /// The worker's next order, once there is one. A worker that is gone wants nothing of it to live.
    pub(super) fn order(&self) -> Order {
        let mut letter = [0];
        match self.0.as_ref().map(|mut socket| io::Read::read(&mut socket, &mut letter)) {
            Some(Ok(1)) if letter == [Order::Terminate.letter()] => Order::Terminate,
            _ => Order::Kill,
        }
    }

    /// Whoever is gone hears nothing.
    fn tell(&self, line: &str) {
        if let Some(mut socket) = self.0.as_ref() {
            let _gone = writeln!(socket, "{line}");
        }
    }
}
