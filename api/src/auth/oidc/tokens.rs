//! `Tokens`: whom a token stands for. What was verified is remembered by its hash until it ends, so that a busy token costs one signature;
//! whether its user and tenant count is read again every few seconds, as with keys.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use drydock_database::{
    Database,
    identity::{self, SignIn, SignedIn},
};
use drydock_domain::{TenantId, UserId};
use drydock_runtime::{Shutdown, exit::Exit, tasks};
use jsonwebtoken::get_current_timestamp;
use prometheus::IntCounterVec;
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{
    super::{
        caller::{Actor, Caller},
        freshness::Freshness,
        turn::Turn,
    },
    check,
    claims::Bearer,
    key_set::KeySet,
    known::Known,
    settings,
};
use crate::error::ApiError;

/// Tokens kept, about a kilobyte each.
const BELIEVED: usize = 10_000;
/// Signatures are looked at again after this time, however long a token lasts.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The hash of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenId([u8; 32]);

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenId")
    }
}

/// The issuers this process knows, and the tokens it has met.
pub(crate) struct Tokens {
    database: Database,
    issuers: Vec<Arc<Known>>,
    /// How long a read is believed.
    fresh: Freshness,
    believed: Cache<TokenId, Arc<Believed>>,
}

/// A token that was verified.
#[derive(Clone)]
struct Verified {
    issuer: usize,
    bearer: Arc<Bearer>,
    until: Instant,
    /// With these keys: where the issuer shows others, it is verified again.
    keys: Arc<KeySet>,
}

struct Believed {
    verified: Verified,
    signed_in: SignedIn,
    read_at: Instant,
    /// Of requests that find it too old, one reads it again.
    turn: Turn,
}

impl Tokens {
    /// For the issuers of the file, if there is one; their keys are fetched from now on.
    ///
    /// # Errors
    /// Something is wrong with the file.
    pub(crate) fn start(
        database: &Database,
        file: Option<&Path>,
        fresh: Duration,
        fetches: &IntCounterVec,
        shutdown: &Shutdown,
    ) -> Result<Self, Exit> {
        let settings = file.map(settings::read).transpose().map_err(|error| Exit::Usage(error.into()))?;
        let issuers = settings.unwrap_or_default().into_iter().map(|issuer| Known::new(issuer, fetches).map(Arc::new));
        let issuers = issuers.collect::<Result<Vec<_>, _>>()?;
        for known in &issuers {
            tasks::spawn("issuer's keys", Arc::clone(known).keep(shutdown.clone()));
        }
        let believed = Cache::new(if issuers.is_empty() { 1 } else { BELIEVED });
        Ok(Self { database: database.clone(), issuers, fresh: Freshness::new(fresh), believed })
    }

    /// Whether tokens are taken at all.
    pub(crate) fn are_taken(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Who presents `token`.
    ///
    /// # Errors
    /// 401: it does not count, or its user or tenant does not. 403: it is good, and gives nothing here. 503: nobody can tell now.
    pub(crate) async fn verify(&self, token: &SecretString) -> Result<Caller, ApiError> {
        let token = token.expose_secret();
        let id = TokenId(*blake3::hash(token.as_bytes()).as_bytes());
        if let Some(believed) = self.find(id).await? {
            return self.caller(id, &believed);
        }
        let (issuer, checked) = check::check(token, &self.issuers).await?;
        let bearer = Bearer::read(&checked.claims, &self.issuers[issuer].settings)?;
        let left = Duration::from_secs(checked.until.saturating_sub(get_current_timestamp())).min(LONGEST);
        let verified = Verified { issuer, bearer: Arc::new(bearer), until: Instant::now() + left, keys: checked.keys };
        let believed = self.read(id, verified).await?;
        self.caller(id, &believed)
    }

    /// Whether this token counts, as far as it is remembered: one that is not has to be shown again.
    ///
    /// # Errors
    /// 503: nobody can tell now.
    pub(crate) async fn counts(&self, id: TokenId) -> Result<bool, ApiError> {
        Ok(self.find(id).await?.is_some_and(|believed| self.caller(id, &believed).is_ok()))
    }

    /// Believes nothing any more of users and tenants.
    pub(crate) fn forget_all(&self) {
        self.fresh.end();
    }

    /// What is remembered of a token that was verified, and counts as far as its signature goes.
    async fn find(&self, id: TokenId) -> Result<Option<Arc<Believed>>, ApiError> {
        let Some(believed) = self.believed.get(&id) else { return Ok(None) };
        let Verified { issuer, until, keys, .. } = &believed.verified;
        let same = self.issuers[*issuer].keys().is_some_and(|now| Arc::ptr_eq(&now, keys));
        if !same || *until <= Instant::now() {
            return Ok(None);
        }
        if self.fresh.covers(believed.read_at) {
            return Ok(Some(believed));
        }
        let fresh = || self.believed.get(&id).filter(|known| self.fresh.covers(known.read_at));
        believed.turn.take(fresh, self.read(id, believed.verified.clone())).await.map(Some)
    }

    async fn read(&self, id: TokenId, verified: Verified) -> Result<Arc<Believed>, ApiError> {
        // Before it is asked: what is said is at least as new.
        let read_at = Instant::now();
        let Bearer { subject, tenant, role, name, email } = &*verified.bearer;
        let issuer = &self.issuers[verified.issuer].settings.url;
        let sign_in = SignIn { tenant, issuer, subject, name, email: email.as_deref(), role: *role };
        let signed_in = identity::sign_in(&self.database.client().await?, &sign_in).await?;
        let believed = Arc::new(Believed { verified, signed_in, read_at, turn: Turn::default() });
        self.believed.insert(id, Arc::clone(&believed));
        Ok(believed)
    }

    fn caller(&self, token: TokenId, believed: &Believed) -> Result<Caller, ApiError> {
        let Bearer { tenant: name, role, .. } = &*believed.verified.bearer;
        let caller = |tenant: TenantId, user: UserId, most: drydock_domain::Role| {
            let scopes = role.scopes() & most.scopes();
            Caller { tenant, actor: Actor::Token { token, user }, role: *role, scopes }
        };
        match believed.signed_in {
            SignedIn::User { tenant, user, role } => Ok(caller(tenant, user, role)),
            SignedIn::Disabled => Err(ApiError::Unauthorized("The user of this token is disabled")),
            SignedIn::TenantDisabled => Err(ApiError::Unauthorized("The tenant of this token is disabled")),
            SignedIn::NoTenant => {
                let detail =
                    format!("Token is good, but there is no tenant '{name}': an operator of this server makes tenants");
                Err(ApiError::Forbidden(detail.into()))
            }
        }
    }
}
