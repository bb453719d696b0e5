//! Jobs.

use serde_json::json;

use crate::{Client, ClientError, Document, NewJob, views::Job};

impl Client {
    /// Submits a job to a project. Sent again after a failure of the network it is still one job.
    ///
    /// # Errors
    /// Refused (404, 409, 422 with the fields), or the server stays away.
    pub async fn submit_job(&self, project: &str, job: &NewJob) -> Result<Document<Job>, ClientError> {
        self.post(["projects", project, "jobs"]).json(job).idempotent().document().await
    }

    /// A job as it stands, with its attempts and timings.
    ///
    /// # Errors
    /// There is none (404), or the server stays away.
    pub async fn job(&self, id: &str) -> Result<Document<Job>, ClientError> {
        self.get(["jobs", id]).document().await
    }

    /// Cancels a job; one that is over stays as it is. A second cancel is no other than the first.
    ///
    /// # Errors
    /// There is none (404), or the server stays away.
    pub async fn cancel_job(&self, id: &str, reason: Option<&str>) -> Result<Document<Job>, ClientError> {
        let body = reason.map_or_else(|| json!({}), |reason| json!({"reason": reason}));
        self.post(["jobs", id, "cancel"]).json(&body).repeatable().document().await
    }

    /// Runs a job that is over again, as a new one.
    ///
    /// # Errors
    /// There is none (404), it is not over (409), or the server stays away.
    pub async fn retry_job(&self, id: &str) -> Result<Document<Job>, ClientError> {
        self.post(["jobs", id, "retry"]).json(&json!({})).idempotent().document().await
    }
}
