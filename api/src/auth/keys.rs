//! Which keys count, with little asking: a key that was read is believed for some seconds, so that a busy one costs one read in that time.
//!
//! Guessing must not cost much either. Prefixes that nobody has are remembered as such, in a cache of their own that pushes no real key out;
//! and prefixes not seen before are looked up a few at a time, at most [`STRANGERS`] in each [`PAUSE`]. Keys in use do not wait for those. Who has
//! presented too many keys that are nobody's waits in a line apart, for one place, so that others meet new keys meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use drydock_database::{
    Database,
    api_key::{self, Presented, Standing},
};
use drydock_domain::{ApiKey, KeyPrefix};
use drydock_runtime::{exit::chain, tasks};
use quick_cache::sync::Cache;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};

use super::{
    caller::{Actor, Caller},
    freshness::Freshness,
    turn::Turn,
};
use crate::error::ApiError;

/// Keys kept, some 300 bytes each; and prefixes that nobody has.
const KNOWN: usize = 10_000;
const UNKNOWN: usize = 10_000;
/// Lookups at once of prefixes not seen before, and how long one that found nothing holds its place.
const STRANGERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(25);
/// How long to wait for such a place.
const PATIENCE: Duration = Duration::from_secs(1);

/// The keys this process has met.
pub(crate) struct Keys {
    database: Database,
    /// How long a read is believed.
    fresh: Freshness,
    known: Cache<KeyPrefix, Arc<Known>>,
    unknown: Cache<KeyPrefix, Instant>,
    strangers: Arc<Semaphore>,
    suspects: Arc<Semaphore>,
    /// Counts what was forgotten.
    forgotten: AtomicU64,
}

struct Known {
    key: Presented,
    read_at: Instant,
    /// Of requests that find it too old, one reads it again.
    turn: Turn,
    touched: AtomicBool,
}

impl Keys {
    pub(crate) fn new(database: &Database, fresh: Duration) -> Self {
        Self {
            database: database.clone(),
            fresh: Freshness::new(fresh),
            known: Cache::new(KNOWN),
            unknown: Cache::new(UNKNOWN),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            suspects: Arc::new(Semaphore::new(1)),
            forgotten: AtomicU64::default(),
        }
    }

    /// Who presents `key`; `is_suspect` says whether whoever it is has presented too many that are nobody's.
    ///
    /// # Errors
    /// 401: it is unknown, which includes a wrong secret, or counts no more, which is told only to who has the secret. 503: it cannot be
    /// looked up now.
    pub(super) async fn verify(&self, key: &ApiKey, is_suspect: impl Fn() -> bool) -> Result<Caller, ApiError> {
        let known = self.find(key.prefix(), is_suspect).await?;
        let known = known.filter(|known| known.key.hash == key.hash()).ok_or(UNKNOWN_KEY)?;
        known.check()?;
        if known.key.touch && !known.touched.swap(true, Ordering::Relaxed) {
            self.touch(&known.key);
        }
        let Presented { id, tenant, user, project, role, scopes, .. } = known.key;
        let prefix = key.prefix();
        let actor = match project {
            Some(project) => Actor::Daemon { id, prefix, project },
            None => Actor::Key { id, prefix, user },
        };
        Ok(Caller { tenant, actor, role, scopes })
    }

    /// Whether the key with this prefix counts.
    ///
    /// # Errors
    /// 503: it cannot be looked up now.
    pub(super) async fn counts(&self, prefix: KeyPrefix) -> Result<bool, ApiError> {
        Ok(self.find(prefix, || false).await?.is_some_and(|known| known.check().is_ok()))
    }

    /// Believes nothing any more of this prefix.
    pub(crate) fn forget(&self, prefix: KeyPrefix) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.remove(&prefix);
        self.unknown.remove(&prefix);
    }

    /// Believes nothing any more: a user or a tenant has changed.
    pub(crate) fn forget_all(&self) {
        self.fresh.end();
    }

    async fn find(&self, prefix: KeyPrefix, is_suspect: impl Fn() -> bool) -> Result<Option<Arc<Known>>, ApiError> {
        let Some(known) = self.known.get(&prefix) else { return self.meet(prefix, is_suspect()).await };
        if self.fresh.covers(known.read_at) {
            return Ok(Some(known));
        }
        known.turn.take(|| self.believed(prefix).map(Some), self.read(prefix)).await
    }

    /// A prefix this process has not met, or has forgotten.
    async fn meet(&self, prefix: KeyPrefix, suspect: bool) -> Result<Option<Arc<Known>>, ApiError> {
        if self.unknown.get(&prefix).is_some_and(|at| self.fresh.covers(at)) {
            return Ok(None);
        }
        let line = if suspect { &self.suspects } else { &self.strangers };
        let place = timeout(PATIENCE, Arc::clone(line).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(if suspect { later() } else { CROWDED }) };
        if let Some(known) = self.believed(prefix) {
            return Ok(Some(known));
        }
        let at = Instant::now();
        let found = self.read(prefix).await?;
        if found.is_none() {
            self.unknown.insert(prefix, at);
            tasks::spawn("unknown key", async move {
                sleep(PAUSE).await;
                drop(place);
            });
        }
        Ok(found)
    }

    fn believed(&self, prefix: KeyPrefix) -> Option<Arc<Known>> {
        self.known.get(&prefix).filter(|known| self.fresh.covers(known.read_at))
    }

    async fn read(&self, prefix: KeyPrefix) -> Result<Option<Arc<Known>>, ApiError> {
        // Before it is asked: what is said is at least as new.
        let (read_at, forgotten) = (Instant::now(), self.forgotten.load(Ordering::SeqCst));
        let found = api_key::by_prefix(&self.database.client().await?, prefix).await?;
        let Some(key) = found else {
            self.known.remove(&prefix);
            return Ok(None);
        };
        let known = Arc::new(Known { key, read_at, turn: Turn::default(), touched: AtomicBool::default() });
        self.known.insert(prefix, Arc::clone(&known));
        // What was read before it was to be forgotten must not be remembered after.
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            self.known.remove(&prefix);
        }
        Ok(Some(known))
    }

    /// Off the request's path; lost where the database is away, which the next minute mends.
    fn touch(&self, key: &Presented) {
        let (database, key) = (self.database.clone(), key.clone());
        tasks::spawn("note a key's use", async move {
            let noted = async { api_key::touch(&database.client().await?, &key).await }.await;
            if let Err(error) = noted {
                tracing::warn!(key.id = %key.id, "failed to note a key's use: {}", chain(&error));
            }
        });
    }
}

const UNKNOWN_KEY: ApiError = ApiError::Stranger("Unknown API key");
const CROWDED: ApiError =
    ApiError::Unavailable { detail: "Too many unknown API keys are being presented", cause: None };

/// Of a suspect, whose key may be good.
fn later() -> ApiError {
    let detail = "Too many unknown API keys are being presented from this address".to_owned();
    ApiError::RateLimited { detail, wait: PATIENCE }
}

impl Known {
    fn check(&self) -> Result<(), ApiError> {
        let expired = Err(ApiError::Unauthorized("API key has expired"));
        match self.key.standing {
            Standing::Valid(Some(left)) if self.read_at.elapsed() >= left => expired,
            Standing::Valid(_) => Ok(()),
            Standing::Expired => expired,
            Standing::Revoked => Err(ApiError::Unauthorized("API key is revoked")),
            Standing::Disabled => Err(ApiError::Unauthorized("The user of this API key is disabled")),
            Standing::TenantDisabled => Err(ApiError::Unauthorized("The tenant of this API key is disabled")),
        }
    }
}
