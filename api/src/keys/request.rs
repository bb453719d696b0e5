//! What a new key may say.

use std::time::Duration;

use axum::http::HeaderMap;
use drydock_domain::{Role, Scope, Scopes, UserId};
use serde_json::Value;

use crate::{
    error::ApiError,
    validate::{Fault, Fields, rules},
};

/// How roles are told in a refusal.
pub(crate) const ROLES: &str = "'viewer', 'member', 'owner', 'operator' or 'admin'";
const SCOPES: &str = "'projects:read', 'projects:write', 'jobs:read', 'jobs:write', 'fleet:read', 'fleet:write', \
                      'keys:read', 'keys:write', 'audit:read', 'webhooks:read', 'webhooks:write', 'tenants:read' or \
                      'tenants:write'";
/// Shortest and longest life, in seconds: a minute and ten years.
const MIN_LIFE: i64 = 60;
const MAX_LIFE: i64 = 10 * 365 * 86_400;

/// A key as asked for.
#[derive(Debug)]
pub(super) struct KeyRequest {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) scopes: Option<Scopes>,
    pub(super) user: Option<UserId>,
    pub(super) lifetime: Option<Duration>,
}

impl KeyRequest {
    pub(super) fn read(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let name = fields.required("name", rules::title);
        let role: Option<Role> = fields.required("role", rules::one_of(ROLES));
        let scopes = fields.optional("scopes", |value| {
            let scopes = rules::words::<Scope>(SCOPES)(value)?;
            let held = role.map_or(Scopes::ALL, Role::scopes);
            match scopes.iter().position(|scope| !held.holds(*scope)) {
                Some(at) => Err(Fault::value("the role does not have this scope").at(at)),
                None => Ok(Scopes::from_iter(scopes)),
            }
        });
        let user = fields.optional("user_id", rules::id);
        let lifetime = fields.optional("expires_in_s", rules::number::<u64>(MIN_LIFE, MAX_LIFE));
        let lifetime = lifetime.map(Duration::from_secs);
        // An empty list is as none: all of the role's.
        let scopes = scopes.filter(|scopes| !scopes.is_empty());
        fields.finish(|| Some(Self { name: name?, role: role?, scopes, user, lifetime }))
    }

    /// What the key would be able to do.
    pub(super) fn rights(&self) -> Scopes {
        self.role.limited_to(self.scopes)
    }
}

/// Refuses `Idempotency-Key` where the answer holds a secret: to give the same answer again, the secret would have to be kept.
pub(crate) fn once_only(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut fields = Fields::headers();
    if headers.contains_key("idempotency-key") {
        let why = "not taken here: the answer holds a secret that is not kept. Look in the list, and revoke what was made twice";
        fields.refuse("Idempotency-Key", Fault::value(why));
    }
    fields.finish(|| Some(()))
}
