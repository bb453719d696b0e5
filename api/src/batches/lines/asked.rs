//! What a line asks for: a job as for `POST /projects/{id}/jobs`, and where.

use std::collections::HashMap;

use drydock_database::version::{self, Forked, NewFork};
use drydock_domain::{BatchId, ProjectId, TenantId};
use serde_json::Value;

use crate::{
    agents::Offer,
    error::ApiError,
    extract::unique,
    jobs::{Asked, JobRequest, offer},
    state::App,
    validate::{Fault, Fields, rules},
};

/// Agents asked about in one request; beyond, the answers to the first are forgotten.
const AGENTS: usize = 100;

/// A line that passed.
#[derive(Debug)]
pub(super) struct AskedLine {
    pub(super) number: i32,
    /// Of its bytes.
    pub(super) hash: blake3::Hash,
    pub(super) place: Place,
    pub(super) job: JobRequest,
}

/// Whose job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Project(ProjectId),
    /// A fork of its own, made for this line: of this version, or the newest.
    Fork(ProjectId, Option<i32>),
}

/// Reads lines, and remembers what it asked about agents.
pub(super) struct Reading<'a> {
    app: &'a App,
    /// Of lines that name none.
    project: Option<ProjectId>,
    offers: HashMap<String, Offer>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(app: &'a App, project: Option<ProjectId>) -> Self {
        Self { app, project, offers: HashMap::new() }
    }

    pub(super) async fn read(&mut self, number: i32, line: &[u8]) -> Result<AskedLine, ApiError> {
        let text = std::str::from_utf8(line).map_err(|_| ApiError::BadRequest("Line is not valid UTF-8".into()))?;
        let value: Value = unique::parse(text)
            .map_err(|error| ApiError::BadRequest(format!("Line is not valid JSON: {error}").into()))?;
        let offer = self.offer(&value).await?;
        let mut fields = Fields::body(value)?;
        let place = place(&mut fields, self.project);
        let job = JobRequest::read(fields, Asked::InBatch, &offer)?;
        let place = place.ok_or_else(|| ApiError::Internal("a line without a place passed".to_owned()))?;
        Ok(AskedLine { number, hash: blake3::hash(line), place, job })
    }

    /// A name that no worker has is looked up once, not a line.
    async fn offer(&mut self, value: &Value) -> Result<Offer, ApiError> {
        let name = value.get("agent").and_then(Value::as_str).unwrap_or_default();
        if let Some(known) = self.offers.get(name) {
            return Ok(known.clone());
        }
        let answer = offer(self.app, value).await?;
        if self.offers.len() < AGENTS {
            self.offers.insert(name.to_owned(), answer.clone());
        }
        Ok(answer)
    }
}

/// `project_id`, or `fork_of` and perhaps `version`. `None`: a fault was noted.
fn place(fields: &mut Fields, default: Option<ProjectId>) -> Option<Place> {
    let origin = fields.optional("fork_of", rules::id);
    let version = fields.optional("version", rules::number(0, i32::MAX.into()));
    if let Some(origin) = origin {
        let both = "a line has either project_id or fork_of";
        fields.optional("project_id", |_| Err::<(), _>(Fault::value(both)));
        return Some(Place::Fork(origin, version));
    }
    if version.is_some() {
        fields.refuse("version", Fault::value("version goes with fork_of only"));
    }
    match default {
        Some(default) => Some(Place::Project(fields.optional("project_id", rules::id).unwrap_or(default))),
        None => fields.required("project_id", rules::id).map(Place::Project),
    }
}

/// The project of a line's job. A fork is made once, however often its line comes.
pub(super) async fn project(
    app: &App,
    tenant: TenantId,
    batch: BatchId,
    line: &AskedLine,
) -> Result<ProjectId, ApiError> {
    let (origin, version) = match line.place {
        Place::Project(project) => return Ok(project),
        Place::Fork(origin, version) => (origin, version),
    };
    let key = drydock_database::job::Idempotency {
        key: format!("batch:{batch}:{}", line.number),
        fingerprint: line.hash.into(),
    };
    let new =
        NewFork { id: ProjectId::generate(), origin, version, instruction: None, labels: None, idempotency: Some(key) };
    match version::fork(&app.client(tenant).await?, tenant, &new).await? {
        Forked::New(id) | Forked::Replayed(id) => Ok(id),
        Forked::KeyReused => Err(ApiError::Conflict(LINE_REUSED.into())),
        Forked::Missing(missing) => Err(missing.into()),
    }
}

pub(super) const LINE_REUSED: &str =
    "This line came before with other contents: send it as a further line, or the file as another batch";
