//! `Caller`: whom a request acts for, and what it may.

use axum::{extract::FromRequestParts, http::request::Parts};
use drydock_domain::{ApiKeyId, KeyPrefix, ProjectId, Role, Scope, Scopes, TenantId, UserId};

use super::oidc::TokenId;
use crate::{error::ApiError, state::App};

/// Who asks. Handlers take it as an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// Whose things it sees.
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    pub(crate) role: Role,
    pub(crate) scopes: Scopes,
}

/// By what right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// No key exists yet, and only this host reaches the API, or somebody said that is fine.
    Anyone,
    /// A key, and who uses it.
    Key { id: ApiKeyId, prefix: KeyPrefix, user: Option<UserId> },
    /// A token of an issuer, and who it stands for.
    Token { token: TokenId, user: UserId },
    /// A daemon's token, good for the one project whose workspace it holds.
    Daemon { id: ApiKeyId, prefix: KeyPrefix, project: ProjectId },
}

impl Caller {
    /// Whoever asks while no key exists.
    pub(super) const ANYONE: Self =
        Self { tenant: TenantId::DEFAULT, actor: Actor::Anyone, role: Role::Admin, scopes: Scopes::ALL };

    /// Whether it would be let in now as well: for what goes on after a request was let in. Where nobody can tell, it goes on.
    pub(crate) async fn is_still_let_in(&self, app: &App) -> bool {
        match self.actor {
            Actor::Anyone => app.gate.is_open().await.unwrap_or(true),
            Actor::Key { prefix, .. } | Actor::Daemon { prefix, .. } => app.keys.counts(prefix).await.unwrap_or(true),
            Actor::Token { token, .. } => app.tokens.counts(token).await.unwrap_or(true),
        }
    }

    /// The person who asks, where one is known.
    pub(crate) const fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::Key { user, .. } => user,
            Actor::Token { user, .. } => Some(user),
            Actor::Anyone | Actor::Daemon { .. } => None,
        }
    }

    /// Refuses a caller without one of `needed`.
    ///
    /// # Errors
    /// 403, with what is missing.
    pub(super) fn must_hold(&self, needed: &[Scope]) -> Result<(), ApiError> {
        let missing = Scopes::of(needed).without(self.scopes);
        if missing.is_empty() {
            return Ok(());
        }
        let plural = if missing.iter().count() == 1 { "scope" } else { "scopes" };
        let what = if matches!(self.actor, Actor::Token { .. } | Actor::Daemon { .. }) { "token" } else { "key" };
        let lack = self.lack(missing);
        let detail = format!("This needs the {plural} {missing}, which a {what} of role '{}' {lack}", self.role);
        Err(ApiError::Forbidden(detail.into()))
    }

    /// Whether its role has none of it, or this key or user less than its role.
    fn lack(&self, missing: Scopes) -> &'static str {
        if (self.role.scopes() & missing).is_empty() { "does not have" } else { "has, but not this one" }
    }

    /// Refuses to give away rights that the caller has not.
    ///
    /// # Errors
    /// 403, with what is missing.
    pub(crate) fn may_give(&self, given: Scopes) -> Result<(), ApiError> {
        let more = given.without(self.scopes);
        if more.is_empty() {
            return Ok(());
        }
        let detail = format!("Nobody gives rights beyond their own: this would give {more}");
        Err(ApiError::Forbidden(detail.into()))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::Internal("a public route asks who calls".to_owned());
        parts.extensions.get().copied().ok_or_else(missing)
    }
}
