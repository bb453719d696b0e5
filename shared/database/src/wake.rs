//! Waking other processes after a commit: one bare NOTIFY at once, and at most every 20 ms while there is much to tell, on a
//! connection of its own, never inside the transaction (its commit lock is database-wide). Polling is the net: a lost wake-up
//! costs one period.

use std::{sync::Arc, time::Duration};

use drydock_runtime::{Backoff, Shutdown, tasks};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{Notify, watch};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{Database, DatabaseError};

const PAUSE: Duration = Duration::from_millis(5);
/// Whoever has something to tell again by then is busy, and tells of more at once.
const BUSY: Duration = Duration::from_millis(15);

/// Who is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Dispatchers: there may be jobs to admit.
    Work,
    /// API replicas: there may be events or log bytes to read.
    Events,
}

impl Channel {
    const fn name(self) -> &'static str {
        match self {
            Self::Work => "drydock_work",
            Self::Events => "drydock_events",
        }
    }
}

/// Wakes other processes; cheap to clone, never waits.
#[derive(Clone, Debug, Default)]
pub struct Waker {
    work: Arc<Notify>,
    events: Arc<Notify>,
}

impl Waker {
    /// Starts the task that sends.
    pub fn start(database: &Database, shutdown: &Shutdown) -> Self {
        let waker = Self::default();
        for (channel, due) in [(Channel::Work, &waker.work), (Channel::Events, &waker.events)] {
            tasks::spawn("notify", send(database.clone(), channel, due.clone(), shutdown.clone()));
        }
        waker
    }

    /// A job was accepted, promoted or handed back.
    pub fn wake(&self, channel: Channel) {
        match channel {
            Channel::Work => self.work.notify_one(),
            Channel::Events => self.events.notify_one(),
        }
    }

    /// Both channels: a transition that frees a lane also wrote an event.
    pub fn wake_all(&self) {
        self.wake(Channel::Work);
        self.wake(Channel::Events);
    }
}

async fn send(database: Database, channel: Channel, due: Arc<Notify>, shutdown: Shutdown) {
    let sql = format!("NOTIFY {}", channel.name());
    let mut client = None;
    loop {
        tokio::select! {
            () = due.notified() => {}
            () = shutdown.forced() => return,
        }
        if client.is_none() {
            client = database.client().await.ok();
        }
        // A failed wake-up is not retried: the poll of whoever waits is the net.
        let failed = match &client {
            Some(client) => client.batch_execute(&sql).await.is_err(),
            None => true,
        };
        if failed {
            client = None;
        }
        tokio::time::sleep(PAUSE).await;
        if due.notified().now_or_never().is_some() {
            tokio::time::sleep(BUSY).await;
            due.notify_one();
        }
    }
}

/// Counts the wake-ups received on a channel; also counts every reconnect, because something may have been missed.
pub fn listen(database: &Database, channel: Channel, shutdown: &Shutdown) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let (database, shutdown) = (database.clone(), shutdown.clone());
    tasks::spawn("listen", async move {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            tokio::select! {
                () = shutdown.forced() => return,
                ended = follow(&database, channel, &sender, &mut backoff) => {
                    if let Err(error) = ended {
                        tracing::debug!(channel = channel.name(), "failed to listen: {}", drydock_runtime::exit::chain(&error));
                    }
                }
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    });
    receiver
}

async fn follow(
    database: &Database,
    channel: Channel,
    sender: &watch::Sender<u64>,
    backoff: &mut Backoff,
) -> Result<(), DatabaseError> {
    let (client, mut connection) = database.url().connect(NoTls).await.map_err(DatabaseError::Connect)?;
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    let listen = format!("LISTEN {}", channel.name());
    let mut listening = std::pin::pin!(client.batch_execute(&listen));
    let mut ready = false;
    loop {
        tokio::select! {
            done = &mut listening, if !ready => {
                done.map_err(DatabaseError::query("listen"))?;
                ready = true;
                backoff.reset();
                sender.send_modify(|count| *count += 1);
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(_))) => sender.send_modify(|count| *count += 1),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(DatabaseError::query("listen")(error)),
                None => return Ok(()),
            }
        }
    }
}
