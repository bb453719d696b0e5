//! One connection, from its hello to its end.

use std::{collections::HashSet, time::Duration};

use drydock_domain::daemon::{FromDaemon, HEARTBEAT, MAX_FRAME, SILENCE, ToDaemon};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpStream,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{Address, Ending, Link, Speaker};
use crate::daemon::spool::Key;

/// How long a connection may take, and the fleet's welcome after it.
const CONNECT: Duration = Duration::from_secs(10);
/// Frames under way that are not known to have arrived.
const AHEAD: usize = 32;
/// How long a goodbye may take.
pub(super) const GOODBYE: Duration = Duration::from_millis(500);

/// How often both sides say that they are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    /// Between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// A peer that was silent for so long is gone.
    pub(crate) silence: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { heartbeat: HEARTBEAT, silence: SILENCE }
    }
}

/// A connection that the fleet has welcomed.
#[derive(Debug)]
pub(super) struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    rhythm: Rhythm,
    /// Frames that were sent on this connection.
    sent: HashSet<Key>,
}

impl Session {
    /// Connects, says hello and waits for the welcome; answers with the newest version as well.
    pub(super) async fn connect(
        address: &Address,
        speaker: &impl Speaker,
        rhythm: Rhythm,
    ) -> Result<(Self, i32), Ending> {
        let late = |what: &str| Ending::Lost(format!("{what} took longer than {CONNECT:?}"));
        let request = address.request()?;
        let config = WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME));
        let connecting = connect_async_with_config(request, Some(config), true);
        let (socket, _) =
            timeout(CONNECT, connecting).await.map_err(|_| late("connecting"))?.map_err(Ending::of_error)?;
        let mut session = Self { socket, rhythm, sent: HashSet::new() };
        session.send(&speaker.hello()).await?;
        let welcome = timeout(CONNECT, session.receive()).await.map_err(|_| late("the welcome"))??;
        match welcome {
            ToDaemon::Welcome { head, .. } => Ok((session, head)),
            other => Err(Ending::Lost(format!("the server did not begin with a welcome but with {other:?}"))),
        }
    }

    /// Speaks until the connection ends.
    pub(super) async fn run<S: Speaker>(mut self, link: &Link<'_, S>) -> Ending {
        let ending = self.speak(link).await.unwrap_or_else(|ending| ending);
        if ending == Ending::Stopped {
            let goodbye = async {
                if link.spool.in_hand().is_empty() {
                    self.send(&FromDaemon::Bye).await?;
                }
                self.socket.close(None).await.map_err(Ending::of_error)
            };
            // Who does not hear it finds out by the silence.
            let _unheard = timeout(GOODBYE, goodbye).await;
        }
        ending
    }

    async fn speak<S: Speaker>(&mut self, link: &Link<'_, S>) -> Result<Ending, Ending> {
        let Rhythm { heartbeat, silence } = self.rhythm;
        let mut heartbeat = interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            // Outside of the select, whose other branches would cut a frame in two.
            self.send_open(link).await?;
            tokio::select! {
                biased;
                () = link.stop.now.cancelled() => return Ok(Ending::Stopped),
                said = self.receive() => {
                    heard = Instant::now();
                    self.take(said?, link);
                }
                () = sleep_until(heard + silence) => {
                    return Ok(Ending::Lost(format!("nothing was heard for {silence:?}")));
                }
                _ = heartbeat.tick() => self.send(&link.speaker.heartbeat()).await?,
                () = link.spool.news() => {}
                () = until_over(link) => return Ok(Ending::Stopped),
            }
        }
    }

    /// Sends what is not known to the fleet and not under way, as far as there is room.
    async fn send_open<S: Speaker>(&mut self, link: &Link<'_, S>) -> Result<(), Ending> {
        loop {
            let room = AHEAD.saturating_sub(self.sent.len());
            let next = link.spool.next(&self.sent, room);
            if next.is_empty() {
                return Ok(());
            }
            for (key, frame) in next {
                self.send(&frame).await?;
                self.sent.insert(key);
            }
        }
    }

    fn take<S: Speaker>(&mut self, said: ToDaemon, link: &Link<'_, S>) {
        let known = match &said {
            ToDaemon::Logged { attempt, seq } => Key::Log(*attempt, *seq),
            ToDaemon::Noted { id } => Key::Command(*id),
            ToDaemon::Done { attempt } => Key::Result(*attempt),
            _ => {
                link.speaker.hears(said);
                // What is not to be told any more needs no room.
                return self.sent.retain(|key| link.spool.holds(*key));
            }
        };
        self.sent.remove(&known);
        link.spool.known(known);
        if matches!(said, ToDaemon::Done { .. }) {
            link.speaker.hears(said);
        }
    }

    async fn send(&mut self, frame: &FromDaemon) -> Result<(), Ending> {
        let text = serde_json::to_string(frame).map_err(|error| Ending::Lost(error.to_string()))?;
        let (patience, sending) = (self.rhythm.silence, self.socket.send(Message::text(text)));
        let silent = |_| Ending::Lost("the server takes nothing any more".to_owned());
        timeout(patience, sending).await.map_err(silent)?.map_err(Ending::of_error)
    }

    /// The next frame. Safe to drop: what has come stays in the socket.
    async fn receive(&mut self) -> Result<ToDaemon, Ending> {
        loop {
            let message = self.socket.next().await.unwrap_or(Ok(Message::Close(None))).map_err(Ending::of_error)?;
            match message {
                Message::Text(text) => {
                    let wrong =
                        |error| Ending::Lost(format!("the server said what this daemon does not know: {error}"));
                    return serde_json::from_str(&text).map_err(wrong);
                }
                Message::Close(frame) => return Err(Ending::of_close(frame)),
                // Pings are answered by the library; the rest means nothing here.
                _ => {}
            }
        }
    }
}

/// Resolves when a stop was asked for and nothing is left to say.
async fn until_over<S: Speaker>(link: &Link<'_, S>) {
    link.stop.soon.cancelled().await;
    link.spool.emptied().await;
}
