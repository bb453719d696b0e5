//! Which tree a request means: a version's, or that of an attempt; and the two documents that go with it.

use std::sync::Arc;

use bytes::Bytes;
use drydock_database::version::{self, AttemptRef, Exchange, Missing, StoredAt, TreeRef};
use drydock_domain::{Digest, JobId, ProjectId, TenantId, Tree};
use drydock_storage::{Manifest, StoredTree};
use serde_json::Value;

use crate::{
    error::ApiError,
    state::App,
    validate::{Fault, Fields, rules},
};

/// Which tree is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The newest version.
    Head,
    /// This version.
    Version(i32),
    /// What an attempt left.
    Attempt(AttemptRef),
}

/// A tree, ready to be read.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// Whose objects it is made of.
    pub(crate) tenant: TenantId,
    /// The version it is or started from.
    pub(crate) number: i32,
    /// None for the empty tree.
    pub(crate) manifest: Option<Arc<Manifest>>,
    /// The two documents.
    pub(super) exchange: Exchange,
}

static EMPTY: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::default);

impl Loaded {
    /// Its entries.
    pub(crate) fn tree(&self) -> &Tree {
        self.manifest.as_ref().map_or(&EMPTY, |manifest| manifest.tree())
    }

    /// A document's bytes, by the end of its path.
    pub(super) fn document(&self, path: &[u8]) -> Option<Vec<u8>> {
        let value = match path {
            b".codex/request.json" => self.exchange.request.as_ref(),
            b".codex/result.json" => self.exchange.result.as_ref(),
            _ => None,
        };
        value.and_then(|value| serde_json::to_vec_pretty(value).ok())
    }
}

/// Takes `version`, `attempt` and `job`: at most one tree is meant.
pub(super) fn which(fields: &mut Fields) -> Which {
    let number = fields.optional("version", rules::number(0, i32::MAX.into()));
    let job: Option<JobId> = fields.optional("job", uuid_of("a job id"));
    let attempt = fields.optional("attempt", |value| attempt_of(value, job));
    match (number, attempt.or(job.map(|job| AttemptRef::OfJob(job, None)))) {
        (None, None) => Which::Head,
        (Some(number), None) => Which::Version(number),
        (None, Some(attempt)) => Which::Attempt(attempt),
        (Some(_), Some(_)) => {
            fields.refuse("version", Fault::value("version does not go with job or attempt"));
            Which::Head
        }
    }
}

/// An attempt's id, or its number where the job is named.
fn attempt_of(value: &Value, job: Option<JobId>) -> Result<AttemptRef, Fault> {
    match job {
        Some(job) => rules::number(1, i16::MAX.into())(value).map(|number| AttemptRef::OfJob(job, Some(number))),
        None => uuid_of("an attempt id, or a number beside job")(value).map(AttemptRef::Id),
    }
}

fn uuid_of<T: std::str::FromStr>(what: &'static str) -> impl Fn(&Value) -> Result<T, Fault> {
    move |value| {
        let parsed = value.as_str().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| Fault::new("uuid_parsing", format!("Input should be {what}")))
    }
}

/// Finds the tree, fetches its list of files and the documents.
pub(super) async fn load(app: &App, tenant: TenantId, project: ProjectId, which: Which) -> Result<Loaded, ApiError> {
    let client = app.client(tenant).await?;
    let (found, of) = match which {
        Which::Head => (version::tree(&client, tenant, project, None).await?, None),
        Which::Version(number) => (version::tree(&client, tenant, project, Some(number)).await?, None),
        Which::Attempt(attempt) => (version::tree_of_attempt(&client, tenant, project, attempt).await?, Some(attempt)),
    };
    let TreeRef { number, stored } = found?;
    let exchange = version::exchange(&client, project, of).await?;
    drop(client);
    Ok(Loaded { tenant, number, manifest: fetch(app, tenant, stored).await?, exchange })
}

/// A version's tree, without documents.
pub(crate) async fn load_version(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    number: i32,
) -> Result<Loaded, ApiError> {
    let found = version::tree(&app.client(tenant).await?, tenant, project, Some(number)).await?;
    let TreeRef { number, stored } = found?;
    Ok(Loaded { tenant, number, manifest: fetch(app, tenant, stored).await?, exchange: Exchange::default() })
}

async fn fetch(app: &App, tenant: TenantId, stored: Option<StoredAt>) -> Result<Option<Arc<Manifest>>, ApiError> {
    let Some(StoredAt { manifest, delta, .. }) = stored else {
        return Ok(None);
    };
    let stored = StoredTree { manifest: Digest::from_bytes(manifest), delta: delta.map(Bytes::from) };
    Ok(Some(app.manifests.get(&app.storage, tenant, stored).await?))
}

impl From<Missing> for ApiError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Project => Self::NO_PROJECT,
            Missing::Version => Self::NO_VERSION,
            Missing::Attempt => Self::NO_ATTEMPT,
            Missing::Expired => Self::EXPIRED,
        }
    }
}
