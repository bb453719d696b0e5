//! The API as its users meet it during an outage: asked until it answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Counts, Ledger};
use crate::chaos::http;

/// Before the next try, at the other API.
const PAUSE: Duration = Duration::from_millis(150);
/// Longer than any outage of a plan, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// All APIs.
#[derive(Clone)]
pub(crate) struct Api {
    bases: Arc<[String]>,
    turn: Arc<AtomicUsize>,
    ledger: Arc<Ledger>,
}

/// An accepted submission.
pub(crate) struct Submitted {
    /// The resource's id.
    pub(crate) id: Uuid,
    /// Its body.
    pub(crate) body: Value,
}

impl Api {
    /// The APIs at `bases`; what they say goes to `ledger`.
    pub(crate) fn new(bases: Vec<String>, ledger: Arc<Ledger>) -> Self {
        Self { bases: bases.into(), turn: Arc::default(), ledger }
    }

    /// What clients were told.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// One request to the next API.
    pub(super) async fn once(
        &self,
        method: &Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> reqwest::Result<Response> {
        let base = &self.bases[self.turn.fetch_add(1, Ordering::Relaxed) % self.bases.len()];
        let mut request = http::client().request(method.clone(), format!("{base}/api/v1{path}"));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    /// Submits with a key until an API says that it is accepted.
    ///
    /// # Errors
    /// It is refused, or nobody answers for long.
    pub(crate) async fn submit(&self, path: &str, key: &str, body: &Value) -> Result<Submitted> {
        let (end, mut doubt) = (Instant::now() + PATIENCE, false);
        loop {
            if let Ok(answer) = self.once(&Method::POST, path, Some(key), Some(body)).await {
                let (status, replayed) = (answer.status(), answer.headers().contains_key("idempotency-replayed"));
                let body: Option<Value> = answer.json().await.ok();
                match body {
                    Some(body) if status.is_success() => {
                        if doubt && replayed {
                            Counts::add(&self.ledger.counts.replayed_after_doubt);
                        }
                        return Ok(Submitted { id: id_of(&body)?, body });
                    }
                    _ if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                        bail!("POST {path}: {status} {body:?}")
                    }
                    _ => {}
                }
            }
            doubt = true;
            Counts::add(&self.ledger.counts.retried);
            ensure!(Instant::now() < end, "POST {path}: not accepted after {PATIENCE:?}");
            sleep(PAUSE).await;
        }
    }

    /// Looks at a job; an end that is seen is written down.
    ///
    /// # Errors
    /// The API does not answer, or does not know the job.
    pub(crate) async fn look(&self, job: Uuid, wait: Duration) -> Result<Value> {
        let path = format!("/jobs/{job}?wait={}ms", wait.as_millis());
        let answer = self.once(&Method::GET, &path, None, None).await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        if status == StatusCode::NOT_FOUND {
            self.ledger.refused(format!("job {job} was accepted and is not found: {body}"));
        }
        ensure!(status.is_success(), "GET {path}: {status} {body}");
        self.note(job, &body);
        Ok(body)
    }

    /// Writes down an end, where `body` shows one.
    pub(super) fn note(&self, job: Uuid, body: &Value) {
        if let Some(status @ ("completed" | "error" | "cancelled")) = body["status"].as_str() {
            self.ledger.seen(job, status);
        }
    }

    /// A file of a project's head; empty where it has none.
    ///
    /// # Errors
    /// The API does not answer.
    pub(crate) async fn file(&self, project: Uuid, path: &str) -> Result<String> {
        let answer = self.once(&Method::GET, &format!("/projects/{project}/files/{path}"), None, None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(String::new());
        }
        Ok(answer.error_for_status()?.text().await?)
    }
}

fn id_of(body: &Value) -> Result<Uuid> {
    Ok(body["id"].as_str().context("an accepted resource has an id")?.parse()?)
}
