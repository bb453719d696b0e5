//! Open mode: while no key exists, whoever reaches the API may do everything. It ends with the first key and never comes back while the
//! process runs: a key that is revoked or expired still exists. There is no open mode where tokens of an issuer are taken.

use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use drydock_database::{Database, api_key};
use drydock_runtime::{config::ConfigError, exit::Exit};

use super::turn::Turn;
use crate::error::ApiError;

/// How long it may be believed that there is still no key.
const LOOK: Duration = Duration::from_secs(1);

/// Whether keys are asked for.
pub(crate) struct Gate {
    database: Database,
    /// Set once, when a key is known to exist.
    closed: AtomicBool,
    /// When it was last seen that there is no key.
    looked: Mutex<Instant>,
    turn: Turn,
}

impl Gate {
    /// Looks whether keys exist, and says at start what that means. Where `tokens` of an issuer are taken it is closed from the start:
    /// who set that up wants to know who asks.
    ///
    /// # Errors
    /// There is none, others can reach `address`, and `insecure_open` does not allow that; or the database does not answer.
    pub(crate) async fn at_start(
        database: &Database,
        address: SocketAddr,
        insecure_open: bool,
        tokens: bool,
    ) -> Result<Self, Exit> {
        let looked = Instant::now();
        let keys = api_key::exists(&database.client().await?).await?;
        match (keys, address.ip().is_loopback(), insecure_open) {
            (_, _, open) if tokens => {
                tracing::info!("tokens of an issuer are taken, so every request needs one, or a key");
                if open {
                    tracing::warn!("DRYDOCK_INSECURE_OPEN is set and changes nothing: tokens of an issuer are taken");
                }
            }
            (true, _, true) => tracing::warn!(
                "DRYDOCK_INSECURE_OPEN is set and changes nothing: keys exist, so every request needs one"
            ),
            (true, _, false) => tracing::info!("keys exist, so every request needs one"),
            (false, _, true) => {
                tracing::warn!(
                    "DRYDOCK_INSECURE_OPEN is set and no keys exist: whoever reaches {address} may do everything"
                );
            }
            (false, true, false) => {
                tracing::warn!("no keys exist, so every request may do everything, until the first key is made")
            }
            (false, false, false) => return Err(refused(address).into()),
        }
        Ok(Self {
            database: database.clone(),
            closed: AtomicBool::new(keys || tokens),
            looked: Mutex::new(looked),
            turn: Turn::default(),
        })
    }

    /// Whether a request without a key may pass.
    ///
    /// # Errors
    /// It is time to look again, and the database does not answer.
    pub(super) async fn is_open(&self) -> Result<bool, ApiError> {
        match self.known() {
            Some(open) => Ok(open),
            None => self.turn.take(|| self.known(), self.look()).await,
        }
    }

    /// What need not be looked up.
    fn known(&self) -> Option<bool> {
        if self.closed.load(Ordering::Relaxed) {
            return Some(false);
        }
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        (looked.elapsed() < LOOK).then_some(true)
    }

    async fn look(&self) -> Result<bool, ApiError> {
        let now = Instant::now();
        if api_key::exists(&self.database.client().await?).await? {
            self.close();
        }
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(!self.closed.load(Ordering::Relaxed))
    }

    /// A key exists, from now on.
    pub(crate) fn close(&self) {
        // Read first: every request with a key comes here, and all would write the same line of memory.
        if !self.closed.load(Ordering::Relaxed) && !self.closed.swap(true, Ordering::Relaxed) {
            tracing::info!("a key exists: from now on every request needs one");
        }
    }
}

fn refused(address: SocketAddr) -> ConfigError {
    ConfigError::Invalid {
        name: "DRYDOCK_API_ADDR",
        reason: format!(
            "others can reach {address}, and no keys exist by which to know them: run `drydock admin bootstrap` to make the first one, \
             name an issuer of tokens in DRYDOCK_OIDC_FILE, use a loopback address, or set DRYDOCK_INSECURE_OPEN=true on a private network"
        ),
    }
}
