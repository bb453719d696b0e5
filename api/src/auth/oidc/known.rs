//! An issuer this process knows: its settings, and its keys as they were last shown. They are fetched at start, from time to time, and
//! when a token names one that is not among them, the latter no more often than the settings allow: unknown ids cost nobody anything.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use drydock_runtime::{
    Backoff, Shutdown,
    exit::{Exit, chain},
};
use jsonwebtoken::{Algorithm, DecodingKey};
use prometheus::IntCounterVec;
use tokio::{sync::Mutex, time::Instant};

use super::{fetch, key_set::KeySet, settings::Issuer};
use crate::error::ApiError;

/// How long keys are good without another look: one that is withdrawn ends its tokens within this time.
const AGE: Duration = Duration::from_secs(600);
/// Pauses between looks while it does not answer.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

const AWAY: &str =
    "The issuer of this token does not answer, so nobody can tell whether it counts; API keys go on working";

pub(super) struct Known {
    pub(super) settings: Issuer,
    http: reqwest::Client,
    keys: RwLock<Option<Arc<KeySet>>>,
    /// One looks at a time. When it was last looked, and whether that failed.
    looked: Mutex<Option<(Instant, bool)>>,
    fetches: IntCounterVec,
}

impl Known {
    pub(super) fn new(settings: Issuer, fetches: &IntCounterVec) -> Result<Self, Exit> {
        let http = fetch::client(&settings.url)?;
        let (keys, looked) = (RwLock::default(), Mutex::default());
        Ok(Self { settings, http, keys, looked, fetches: fetches.clone() })
    }

    /// Its keys, once it has answered.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that is named, with the set it is of.
    ///
    /// # Errors
    /// 401: the issuer does not show it. 503: the issuer does not answer.
    pub(super) async fn key(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Arc<KeySet>, DecodingKey), ApiError> {
        let find = |set: Arc<KeySet>| set.find(id, algorithm).cloned().map(|key| (Arc::clone(&set), key));
        if let Some(found) = self.keys().and_then(find) {
            return Ok(found);
        }
        let mut looked = self.looked.lock().await;
        // What came while this one waited for its turn.
        if let Some(found) = self.keys().and_then(find) {
            return Ok(found);
        }
        let failed = match *looked {
            Some((at, failed)) if at.elapsed() < self.settings.refresh => failed,
            _ => self.look(&mut looked).await,
        };
        drop(looked);
        match self.keys().and_then(find) {
            Some(found) => Ok(found),
            None if failed => Err(ApiError::Unavailable { detail: AWAY, cause: None }),
            None => Err(ApiError::Stranger("Token is not signed by a key that its issuer shows")),
        }
    }

    /// Looks from time to time, and more often while it does not answer.
    pub(super) async fn keep(self: Arc<Self>, shutdown: Shutdown) {
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        loop {
            let failed = self.look(&mut *self.looked.lock().await).await;
            let pause = if failed { backoff.next_delay() } else { AGE };
            if !failed {
                backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.triggered() => return,
            }
        }
    }

    /// Fetches the keys; answers whether that failed. Those that are known stay then.
    async fn look(&self, looked: &mut Option<(Instant, bool)>) -> bool {
        let (url, before) = (&self.settings.url, self.keys());
        let fetched = fetch::keys(&self.http, url).await;
        let failed = fetched.is_err();
        self.fetches.with_label_values(&[if failed { "failed" } else { "ok" }]).inc();
        match fetched {
            // The same again: what was verified with these keys need not be verified again.
            Ok(set) if before.as_ref().is_some_and(|before| before.digest == set.digest) => {}
            Ok(set) => {
                tracing::info!(issuer = url, keys = set.len(), "the issuer's keys are known");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
            }
            Err(error) if before.is_some() => {
                tracing::warn!(issuer = url, "failed to look for new keys, those known go on: {}", chain(&error));
            }
            Err(error) => {
                tracing::warn!(
                    issuer = url,
                    "its tokens are refused until its keys are known, API keys go on working: {}",
                    chain(&error)
                );
            }
        }
        *looked = Some((Instant::now(), failed));
        failed
    }
}
