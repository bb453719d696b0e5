//! `Courier`: sends claimed deliveries and records what came of them. Each claim is recorded under its token, so that one whose lease ran
//! out meanwhile changes nothing any more.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use drydock_database::{
    Database, DatabaseError,
    webhook::{self, Claim, JobEnd, Outcome, Recorded, Tried},
};
use drydock_runtime::{Backoff, exit::chain};
use drydock_webhook::{Failure, Message, Sender, SigningSecret, Unopened, Vault, signatures};
use uuid::Uuid;

use super::{WebhooksConfig, body::body};
use crate::metrics::WebhookMetrics;

/// After a failure of ours: whoever can mend it is told at once.
const OURS: Duration = Duration::from_secs(60);
/// How often an outcome is written before the lease is left to run out.
const WRITES: u32 = 5;

/// Sends and records; cheap to clone.
#[derive(Clone)]
pub(crate) struct Courier {
    pub(crate) database: Database,
    pub(crate) config: WebhooksConfig,
    pub(crate) vault: Vault,
    pub(crate) sender: Sender,
    pub(crate) metrics: WebhookMetrics,
}

/// Why a message could not even be made.
enum Unmade {
    /// Its secret does not open.
    Secret(Unopened),
    /// Its job is not there.
    NoSubject,
}

impl Courier {
    /// How long a claim may take: the answer, what is read of it, and the record.
    pub(crate) fn lease(&self) -> Duration {
        self.config.webhook_timeout + Duration::from_secs(30)
    }

    /// Sends one delivery, taken as `who`, to its end.
    pub(crate) async fn deliver(&self, claim: Claim, job: Option<JobEnd>, who: Uuid) {
        let tried = match self.message(&claim, job.as_ref()) {
            Ok((secrets, body)) => self.send(&claim, &secrets, body).await,
            Err(unmade) => unmade.told(&claim),
        };
        match self.record(&claim, who, &tried).await {
            Ok(recorded) => self.tell(&claim, &tried, recorded),
            Err(error) => {
                tracing::warn!(delivery = %claim.id, "failed to record a delivery, which is sent again: {}", chain(&error));
            }
        }
    }

    fn message(&self, claim: &Claim, job: Option<&JobEnd>) -> Result<(Vec<SigningSecret>, Bytes), Unmade> {
        let body = body(claim, job).ok_or(Unmade::NoSubject)?;
        let sealed = std::iter::once(&claim.secret).chain(&claim.old_secrets);
        let open = |sealed: &Vec<u8>| self.vault.open(claim.webhook, sealed).map_err(Unmade::Secret);
        Ok((sealed.map(open).collect::<Result<_, _>>()?, body))
    }

    async fn send(&self, claim: &Claim, secrets: &[SigningSecret], body: Bytes) -> Tried {
        let (id, timestamp) = (claim.id.to_string(), chrono::Utc::now().timestamp());
        let signature = signatures(secrets, &id, timestamp, &body);
        let attempt = self.sender.send(&claim.url, &Message { id, timestamp, signature, body }).await;
        self.metrics.tried(&attempt);
        let gone = attempt.failure == Some(Failure::Gone);
        let step = usize::try_from(claim.step).unwrap_or(usize::MAX);
        Tried {
            arrived: attempt.failure.is_none(),
            status: attempt.status.map(i32::from),
            error: attempt.failure.map(Failure::as_str),
            took: attempt.took,
            again: self.config.webhook_retries.after(step).filter(|_| !gone),
            gone,
            ours: false,
        }
    }

    async fn record(&self, claim: &Claim, who: Uuid, tried: &Tried) -> Result<Recorded, DatabaseError> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            let recorded = async {
                let client = self.database.client().await?;
                webhook::record(&client, claim, who, tried, &self.config.patience()).await
            };
            match recorded.await {
                Err(error) if error.is_unavailable() && backoff.tries() + 1 < WRITES => {
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                // An earlier write was committed, and its answer lost.
                Ok(Recorded { outcome: Outcome::Lost, .. }) if backoff.tries() > 0 => {
                    return Ok(Recorded { outcome: tried.outcome(), disabled: None });
                }
                answer => return answer,
            }
        }
    }

    fn tell(&self, claim: &Claim, tried: &Tried, recorded: Recorded) {
        self.metrics.recorded(recorded);
        let error = tried.error.unwrap_or_default();
        match recorded.outcome {
            Outcome::Delivered => {
                tracing::debug!(webhook = %claim.webhook, delivery = %claim.id, event = claim.event, "told a webhook");
            }
            Outcome::Retrying => {
                tracing::info!(webhook = %claim.webhook, delivery = %claim.id, error, status = tried.status, "a webhook was not reached, and is tried again");
            }
            Outcome::Failed => {
                tracing::warn!(webhook = %claim.webhook, tenant = %claim.tenant, delivery = %claim.id, error, status = tried.status, "a message to a webhook was given up");
            }
            Outcome::Lost => {
                tracing::warn!(webhook = %claim.webhook, delivery = %claim.id, "a delivery took longer than its lease: it is sent again");
            }
        }
        if let Some(reason) = recorded.disabled {
            tracing::warn!(webhook = %claim.webhook, tenant = %claim.tenant, reason = reason.as_str(), "a webhook is disabled");
        }
    }
}

/// Whether nobody was told within the last minute that messages cannot be signed: without the right key that is all of them.
fn is_news() -> bool {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let is_news = told.is_none_or(|at| at.elapsed() >= OURS);
    if is_news {
        *told = Some(Instant::now());
    }
    is_news
}

impl Unmade {
    fn told(&self, claim: &Claim) -> Tried {
        match self {
            Self::Secret(error) => {
                if is_news() {
                    tracing::error!(webhook = %claim.webhook, "cannot sign: {error}; give the dispatcher the keys of the API");
                }
                Tried { error: Some("key"), again: Some(OURS), ours: true, ..Tried::default() }
            }
            Self::NoSubject => {
                tracing::warn!(webhook = %claim.webhook, delivery = %claim.id, "what a message tells of is not there any more");
                Tried { error: Some("no_job"), ours: true, ..Tried::default() }
            }
        }
    }
}
