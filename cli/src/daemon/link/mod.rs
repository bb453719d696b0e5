//! The connection to the fleet: made again whenever it is lost, until that cannot help.

mod address;
mod ending;
mod pace;
mod session;

use std::time::{Duration, Instant};

use drydock_domain::daemon::ToDaemon;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{address::Address, ending::Ending, session::Rhythm};
pub use self::{address::AddressError, ending::Final};
use self::{
    pace::Pace,
    session::{GOODBYE, Session},
};
use super::{events::Events, spool::Spool};

/// What a connection speaks for.
pub(crate) trait Speaker {
    /// Who this is.
    fn hello(&self) -> drydock_domain::daemon::FromDaemon;
    /// That it is there, and what it is at.
    fn heartbeat(&self) -> drydock_domain::daemon::FromDaemon;
    /// What the fleet says, in order.
    fn hears(&self, said: ToDaemon);
}

/// The connection of one daemon.
#[derive(Debug)]
pub(crate) struct Link<'a, S> {
    /// Where to.
    pub(crate) address: Address,
    /// For whom.
    pub(crate) speaker: &'a S,
    /// What the fleet does not know.
    pub(crate) spool: &'a Spool,
    /// Who is told.
    pub(crate) events: &'a Events,
    /// How often both sides say that they are there.
    pub(crate) rhythm: Rhythm,
    /// Ends it, when nothing is in hand or when there is no time left: [`CancellationToken`]s for both.
    pub(crate) stop: Stop,
}

/// How a connection is ended from here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// Say what there is to say, then go.
    pub(crate) soon: CancellationToken,
    /// Go.
    pub(crate) now: CancellationToken,
}

impl<S: Speaker> Link<'_, S> {
    /// Keeps a connection until it is stopped or none can be had any more.
    pub(crate) async fn run(&self) -> Ending {
        let mut pace = Pace::default();
        loop {
            let (ending, stood) = self.once().await;
            let reason = match ending {
                Ending::Lost(reason) => reason,
                over => return over,
            };
            let delay = match stood {
                Some(stood) => {
                    self.events.disconnected(&reason);
                    pace.lost(stood)
                }
                None => pace.failed(),
            };
            if let Some(failures) = pace.to_tell().filter(|_| stood.is_none()) {
                self.events.connection_failed(failures, &reason);
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                // Nothing can be said without a connection: one more try, unless there is no time.
                () = self.stop.soon.cancelled(), if !self.stop.soon.is_cancelled() => {}
                () = self.stop.now.cancelled() => return Ending::Stopped,
            }
        }
    }

    /// One connection; how long it stood after the fleet had welcomed it.
    async fn once(&self) -> (Ending, Option<Duration>) {
        let connect = Session::connect(&self.address, self.speaker, self.rhythm);
        let connected = tokio::select! {
            connected = connect => connected,
            () = self.stop.now.cancelled() => return (Ending::Stopped, None),
        };
        let (session, head) = match connected {
            Ok(connected) => connected,
            Err(ending) => return (ending, None),
        };
        let began = Instant::now();
        self.events.connected(self.address.server(), head);
        self.speaker.hears(ToDaemon::Heartbeat { head });
        // A send may be stuck in a connection that is half open, and sees no stop.
        let overdue = async {
            self.stop.now.cancelled().await;
            tokio::time::sleep(GOODBYE * 2).await;
        };
        let ending = tokio::select! {
            ending = session.run(self) => ending,
            () = overdue => Ending::Stopped,
        };
        (ending, Some(began.elapsed()))
    }
}

#[cfg(test)]
mod tests;
