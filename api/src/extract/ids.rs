//! `Ids`: the ids in a path. One that is no UUID names nothing, so it is a 404 like an unknown one.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use drydock_domain::{
    ApiKeyId, BatchId, DeliveryId, JobId, ProjectId, ScheduleId, TenantId, UserId, WebhookId, WorkerId,
};

use crate::error::ApiError;

/// The path's parameters by name.
pub(crate) struct Ids(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // Fails on bytes that are not UTF-8: file routes read those from the URI, and no id has any.
        let found = RawPathParams::from_request_parts(parts, state).await.map_or_else(
            |_| from_raw_path(parts.uri.path()),
            |params| params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        );
        Ok(Self(found))
    }
}

impl Ids {
    /// `{id}` of a project, or `{project_id}` in the routes of older clients.
    pub(crate) fn project(&self) -> Result<ProjectId, ApiError> {
        self.get("id").or_else(|| self.get("project_id")).and_then(|id| id.parse().ok()).ok_or(ApiError::NO_PROJECT)
    }

    /// `{job_id}` below a project, else `{id}`.
    pub(crate) fn job(&self) -> Result<JobId, ApiError> {
        self.get("job_id").or_else(|| self.get("id")).and_then(|id| id.parse().ok()).ok_or(ApiError::NO_JOB)
    }

    /// `{id}` of a worker.
    pub(crate) fn worker(&self) -> Result<WorkerId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_WORKER)
    }

    /// `{id}` of a batch.
    pub(crate) fn batch(&self) -> Result<BatchId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_BATCH)
    }

    /// `{id}` of a schedule.
    pub(crate) fn schedule(&self) -> Result<ScheduleId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_SCHEDULE)
    }

    /// `{id}` of a session, which is its job's.
    pub(crate) fn session(&self) -> Result<JobId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_SESSION)
    }

    /// `{id}` of a key.
    pub(crate) fn key(&self) -> Result<ApiKeyId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_KEY)
    }

    /// `{token}` of a workspace.
    pub(crate) fn token(&self) -> Result<ApiKeyId, ApiError> {
        self.get("token").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_TOKEN)
    }

    /// `{id}` of a user.
    pub(crate) fn user(&self) -> Result<UserId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_USER)
    }

    /// `{id}` of a tenant.
    pub(crate) fn tenant(&self) -> Result<TenantId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_TENANT)
    }

    /// `{id}` of a webhook.
    pub(crate) fn webhook(&self) -> Result<WebhookId, ApiError> {
        self.get("id").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_WEBHOOK)
    }

    /// `{delivery}` of a webhook.
    pub(crate) fn delivery(&self) -> Result<DeliveryId, ApiError> {
        self.get("delivery").and_then(|id| id.parse().ok()).ok_or(ApiError::NO_DELIVERY)
    }

    /// A version's number.
    pub(crate) fn version(&self, name: &str) -> Result<i32, ApiError> {
        let digits = self.get(name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|text| text.parse().ok()).ok_or(ApiError::NO_VERSION)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The project's id stands before `/files/`, the only part of a path that may hold other bytes.
fn from_raw_path(path: &str) -> Vec<(String, String)> {
    let head = path.split_once("/files/").map_or(path, |(head, _)| head);
    let id = head.rsplit('/').next().unwrap_or_default();
    vec![("id".to_owned(), id.to_owned())]
}
