//! Waiting for a job's end by long polls. The server may be restarted meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Client, ClientError, Document, views::Job};

/// How long one poll is held by the server.
const HOLD: Duration = Duration::from_secs(25);
/// Added to the hold before the server counts as silent.
const SLACK: Duration = Duration::from_secs(20);
/// How long the server may be away.
const PATIENCE: Duration = Duration::from_secs(120);
/// An answer that came at once without an end is not asked for again before this.
const PACE: Duration = Duration::from_millis(250);

/// How a job or a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Completed,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Ending {
    /// What a public status says of the end. `None`: it has not ended.
    pub fn of_status(status: &str) -> Option<Self> {
        match status {
            "completed" => Some(Self::Completed),
            "error" => Some(Self::Failed),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// What waiting came to.
#[derive(Clone, Debug)]
pub enum Waited {
    /// The job is over, this way.
    Over(Ending, Box<Document<Job>>),
    /// Time was up before.
    TimeUp,
}

impl Client {
    /// Waits until job `id` is over, at most until `deadline`.
    ///
    /// # Errors
    /// There is no such job, or the server stays away.
    pub async fn wait_for(&self, id: &str, deadline: Option<Instant>) -> Result<Waited, ClientError> {
        let client = self.clone().with_patience(PATIENCE);
        let over = client.until_over(id, deadline);
        match deadline {
            None => over.await,
            Some(deadline) => timeout_at(deadline, over).await.unwrap_or(Ok(Waited::TimeUp)),
        }
    }

    async fn until_over(&self, id: &str, deadline: Option<Instant>) -> Result<Waited, ClientError> {
        loop {
            let asked = Instant::now();
            // Ends a little later than the deadline, which is what ends the wait.
            let hold = deadline.map_or(HOLD, |end| end.duration_since(asked).min(HOLD));
            let call = self.get(["jobs", id]).query("wait", format_args!("{}ms", hold.as_millis().max(1)));
            let job: Document<Job> = call.limit(hold + SLACK).document().await?;
            if let Some(ending) = Ending::of_status(&job.value.status) {
                return Ok(Waited::Over(ending, Box::new(job)));
            }
            if asked.elapsed() < hold.min(PACE) {
                sleep(PACE).await;
            }
        }
    }
}
