//! `Draft`: a record of a request whose outcome is not known yet.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use chrono::Utc;
use drydock_database::audit::{self, Asked, AuditRecord, AuditResult, Changes, Origin, Outcome};
use drydock_domain::JobId;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::{
    auth::{Actor, Caller},
    error::ApiError,
    middleware::RequestId,
};

/// Longest path kept, in bytes.
const MAX_PATH: usize = 1024;

/// Who asks for what. Handlers that write their record with what they change take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Draft(Asked);

impl Draft {
    pub(super) fn of(request: &Request, caller: Caller, action: &'static str, ip: Option<IpAddr>) -> Self {
        let path = request.uri().path();
        let kept = &path[..path.floor_char_boundary(MAX_PATH)];
        let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        Self(Asked {
            id: Uuid::now_v7(),
            tenant_id: caller.tenant,
            at: Utc::now(),
            action,
            actor: match caller.actor {
                Actor::Anyone => audit::Actor::Anyone,
                Actor::Key { id, user, .. } => audit::Actor::Key { key: id, user },
                Actor::Token { user, .. } => audit::Actor::Token { user },
                Actor::Daemon { id, .. } => audit::Actor::Daemon { token: id },
            },
            // Of a path's ids the first is what the request is about; the path has the others.
            target: path.split('/').find_map(id),
            origin: Origin { ip, request_id, path: Some(kept.to_owned()) },
        })
    }

    /// The record before anything is done.
    pub(super) fn asked(&self) -> AuditRecord {
        AuditRecord::Asked { asked: self.0.clone(), result: None }
    }

    /// The record of what came of it.
    pub(super) fn answered(self, result: AuditResult) -> AuditRecord {
        AuditRecord::answer(self.0.id, self.0.tenant_id, result)
    }

    /// Both in one, where the handler did not have it written. Under an id of its own: should the job have been accepted all the same, its
    /// record is to be there as well.
    pub(super) fn whole(self, result: AuditResult) -> AuditRecord {
        AuditRecord::Asked { asked: Asked { id: Uuid::now_v7(), ..self.0 }, result: Some(result) }
    }

    /// The text of the record that is written with a new job.
    pub(crate) fn accepted(self, job: JobId) -> String {
        let (status, created) = (Some(StatusCode::ACCEPTED.as_u16()), Some(job.uuid()));
        let result = Some(AuditResult { outcome: Outcome::Done, status, created, changes: Changes::default() });
        AuditRecord::Asked { asked: self.0, result }.text()
    }
}

/// The id that a part of a path is, read as the router reads it.
fn id(part: &str) -> Option<Uuid> {
    percent_decode_str(part).decode_utf8().ok()?.parse().ok()
}

impl<S: Sync> FromRequestParts<S> for Draft {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::Internal("the audit log does not know of this route".to_owned());
        parts.extensions.get().cloned().ok_or_else(missing)
    }
}
