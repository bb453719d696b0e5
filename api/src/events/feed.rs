//! `Feed`: tells waiting requests of this process that a job has news. One reader of the event line for all of them; a
//! hint only, what happened is read from the rows by whoever waits.

use std::{sync::Arc, time::Duration};

use drydock_database::{Database, DatabaseError, event, wake};
use drydock_domain::{JobId, ProjectId};
use drydock_runtime::{Shutdown, tasks};
use tokio::sync::{
    Notify,
    broadcast::{self, error::RecvError},
    watch,
};

/// Polls between wake-ups: at first often, because the newest event can only be read once every older transaction is
/// over, then as the net for a wake-up that was lost.
const SOON: Duration = Duration::from_millis(5);
const NET: Duration = Duration::from_millis(250);
/// While nobody listens the reader only keeps up, so that whoever comes need not wait for it to.
const ALONE: Duration = Duration::from_millis(500);
/// Whoever waits looks itself this often, in case the feed fails.
const OWN_LOOK: Duration = Duration::from_secs(1);
const BATCH: i64 = 1000;
/// Hints kept for a waiter that is slow to look; one that missed some simply looks.
const HINTS: usize = 1024;

/// A cheap-to-clone handle.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    jobs: broadcast::Sender<(JobId, ProjectId)>,
    wakes: watch::Receiver<u64>,
    arrival: Arc<Notify>,
}

impl Feed {
    /// Starts the reader.
    pub(crate) fn start(database: &Database, shutdown: &Shutdown) -> Self {
        let wakes = wake::listen(database, wake::Channel::Events, shutdown);
        let (jobs, _) = broadcast::channel(HINTS);
        let feed = Self { jobs, wakes, arrival: Arc::default() };
        tasks::spawn_critical("event feed", shutdown, follow(database.clone(), feed.clone(), shutdown.clone()));
        feed
    }

    /// Starts to take notice; look at the rows after this, not before.
    pub(crate) fn watch(&self) -> Watch {
        let watch = Watch { jobs: self.jobs.subscribe() };
        if self.jobs.receiver_count() == 1 {
            self.arrival.notify_one();
        }
        watch
    }

    /// Counts wake-ups of any kind, log bytes included.
    pub(crate) fn wakes(&self) -> watch::Receiver<u64> {
        self.wakes.clone()
    }
}

/// One waiter.
pub(crate) struct Watch {
    jobs: broadcast::Receiver<(JobId, ProjectId)>,
}

impl Watch {
    /// Returns when there may be news: of `job`, or of any job.
    pub(crate) async fn news(&mut self, job: Option<JobId>) {
        let heard = self.heard(|(id, _)| job.is_none_or(|job| job == id));
        let _heard_or_time = tokio::time::timeout(OWN_LOOK, heard).await;
    }

    /// Returns when there may be news of a job of `project`: for who looks now and then by itself.
    pub(crate) async fn news_of(&mut self, project: ProjectId) {
        self.heard(|(_, of)| of == project).await;
    }

    async fn heard(&mut self, wanted: impl Fn((JobId, ProjectId)) -> bool) {
        loop {
            match self.jobs.recv().await {
                Ok(told) if !wanted(told) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

async fn follow(database: Database, feed: Feed, shutdown: Shutdown) {
    let mut wakes = feed.wakes();
    let mut after = None;
    let mut pause = SOON;
    while !shutdown.is_triggered() {
        let step = read(&database, &feed, &mut after).await;
        if let Err(error) = &step {
            tracing::debug!("failed to read new events: {}", drydock_runtime::exit::chain(error));
        }
        let heard = feed.jobs.receiver_count() > 0;
        pause = match step {
            _ if !heard => ALONE,
            Ok(0) | Err(_) => (pause * 2).min(NET),
            Ok(_) => SOON,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = feed.arrival.notified() => pause = SOON,
            changed = wakes.changed(), if heard => match changed {
                Ok(()) => pause = SOON,
                Err(_) => tokio::time::sleep(NET).await,
            },
            () = shutdown.triggered() => return,
        }
    }
}

/// Reads what is new and tells; returns how many.
async fn read(
    database: &Database,
    feed: &Feed,
    after: &mut Option<event::EventCursor>,
) -> Result<usize, DatabaseError> {
    let client = database.client().await?;
    let mut place = match *after {
        Some(place) => place,
        None => event::now(&client).await?,
    };
    let mut told = 0;
    loop {
        let news = event::since(&client, place, BATCH).await?;
        for (cursor, of) in &news {
            place = *cursor;
            // Nobody may be waiting, which is fine.
            let _listeners = feed.jobs.send(*of);
        }
        *after = Some(place);
        told += news.len();
        if news.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(told);
        }
    }
}
