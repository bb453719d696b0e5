//! What happens to a session: asked for, ready, released, given up.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, JobId, JobType, ProjectId, TenantId};
use uuid::Uuid;

use super::agent_of;
use crate::{
    DatabaseError, again,
    job::{Accepted, Canceled, Idempotency, NewJob},
    raw_json::RawJson,
};

const START: &str =
    "SELECT outcome, session_id, lacks FROM dd_session_start_v2($1, $2, $3, $4, make_interval(secs => $5))";
const WANT: &str = "SELECT dd_session_want_v1($1, make_interval(secs => $2))";
const TOLD: &str = "SELECT dd_session_told_v1($1)";
const UNWANTED: &str = "SELECT dd_session_unwanted_v1($1) AS ended";
const READY: &str = "SELECT dd_session_ready_v1($1, $2, $3, $4) AS ready";
const RELEASE: &str = "SELECT dd_session_release_v1($1, $2) AS answer";
const GIVE_UP: &str = "SELECT dd_session_give_up_v2($1, $2, $3, $4) AS answer";

/// A session to be started.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// On whose workspace.
    pub project: ProjectId,
    /// Which of the workers' servers.
    pub server: String,
    /// What it changes is discarded; it shares its project with a writer.
    pub read_only: bool,
    /// Ends after so many seconds without a connection; `None`: never.
    pub idle_timeout_s: Option<i32>,
    /// Longest wait for a worker, in seconds.
    pub queue_timeout_s: i32,
    /// How long whoever asks waits for it without saying so again.
    pub patience: Duration,
    /// Makes a repeated request harmless.
    pub idempotency: Option<Idempotency>,
}

/// The answer to a start.
pub type Started = Accepted;

/// Accepts a session; whether it becomes ready, its row tells.
///
/// # Errors
/// The database does not answer: it may have been accepted, and is over when no worker takes it in time.
pub async fn start(conn: &impl GenericClient, tenant: TenantId, new: &NewSession) -> Result<Started, DatabaseError> {
    const OPERATION: &str = "start a session";
    let job = NewJob {
        agent: Some(agent_of(&new.server)),
        read_only: new.read_only,
        // What was changed until the server failed is the user's work.
        keep_on_error: true,
        queue_timeout_s: Some(new.queue_timeout_s),
        idempotency: new.idempotency.clone(),
        ..NewJob::new(new.project, JobType::Session, format!("Session: {}", new.server), String::new())
    };
    let asked = RawJson::of(&job, OPERATION)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&tenant.uuid(), &asked, &new.server, &new.idle_timeout_s, &new.patience.as_secs_f64()];
    let row = again::row(conn, OPERATION, START, &parameters).await?;
    let id: Option<Uuid> = row.get("session_id");
    match (row.get::<_, &str>("outcome"), id) {
        ("accepted", Some(id)) => Ok(Accepted::New(id.into())),
        ("replayed", Some(id)) => Ok(Accepted::Replayed(id.into())),
        ("key_reused", _) => Ok(Accepted::KeyReused),
        ("no_project", _) => Ok(Accepted::NoProject),
        ("over_quota", _) => Ok(Accepted::OverQuota(row.get("lacks"))),
        (other, _) => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown outcome '{other}'") }),
    }
}

/// Whoever asked for it waits still, and says so again within `patience`.
///
/// # Errors
/// The database does not answer.
pub async fn want(conn: &impl GenericClient, session: JobId, patience: Duration) -> Result<(), DatabaseError> {
    again::row(conn, "wait for a session", WANT, &[&session.uuid(), &patience.as_secs_f64()]).await.map(drop)
}

/// Somebody knows of the session: it stands by itself. Repeating the call changes nothing.
///
/// # Errors
/// The database does not answer.
pub async fn told(conn: &impl GenericClient, session: JobId) -> Result<(), DatabaseError> {
    again::row(conn, "tell of a session", TOLD, &[&session.uuid()]).await.map(drop)
}

/// Ends sessions that nobody waits for any more and nobody was told of, at most `most`; answers how many.
///
/// # Errors
/// The database does not answer.
pub async fn end_unwanted(conn: &impl GenericClient, most: i32) -> Result<i32, DatabaseError> {
    Ok(again::row(conn, "end sessions that nobody wants", UNWANTED, &[&most]).await?.get("ended"))
}

/// The attempt's server takes connections at `host` and `port`; `preview` is what its project shows of it. `false`: the attempt is its
/// worker's no more, or the session is over. Repeating the call changes nothing.
///
/// # Errors
/// The database does not answer: it may have been told.
pub async fn ready(
    conn: &impl GenericClient,
    attempt: AttemptId,
    (host, port): (&str, u16),
    preview: Option<&str>,
) -> Result<bool, DatabaseError> {
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&attempt.uuid(), &host, &i32::from(port), &preview];
    Ok(again::row(conn, "tell that a session is ready", READY, &parameters).await?.get("ready"))
}

/// The answer to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Its worker is to stop it.
    Soon,
    /// It had not begun, and is over.
    Now,
    /// It was over before.
    Gone,
    /// No such session of this tenant.
    NoSession,
}

/// Releases the tenant's session. Repeating the call changes nothing.
///
/// # Errors
/// The database does not answer: it may have been released.
pub async fn release(conn: &impl GenericClient, tenant: TenantId, session: JobId) -> Result<Released, DatabaseError> {
    const OPERATION: &str = "release a session";
    let row = again::row(conn, OPERATION, RELEASE, &[&tenant.uuid(), &session.uuid()]).await?;
    match row.get::<_, &str>("answer") {
        "releasing" | "cancelling" => Ok(Released::Soon),
        "canceled" => Ok(Released::Now),
        "gone" | "final" => Ok(Released::Gone),
        "no_session" | "no_job" => Ok(Released::NoSession),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}

/// The answer to who waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// It is ready: just in time.
    Ready,
    /// Others wait for it still.
    Waited,
    /// It will not be.
    Over(Canceled),
}

/// One of those who wait for the tenant's session does no more. With the last of them it is cancelled, unless it is ready, and its `key` is
/// free again.
///
/// # Errors
/// The database does not answer: it may have been cancelled.
pub async fn give_up(
    conn: &impl GenericClient,
    tenant: TenantId,
    session: JobId,
    key: Option<&str>,
    reason: &str,
) -> Result<GaveUp, DatabaseError> {
    const OPERATION: &str = "give a session up";
    let row = again::row(conn, OPERATION, GIVE_UP, &[&tenant.uuid(), &session.uuid(), &key, &reason]).await?;
    match row.get::<_, &str>("answer") {
        "ready" => Ok(GaveUp::Ready),
        "waited" => Ok(GaveUp::Waited),
        "canceled" => Ok(GaveUp::Over(Canceled::Now)),
        "cancelling" => Ok(GaveUp::Over(Canceled::Soon)),
        "final" => Ok(GaveUp::Over(Canceled::Final)),
        "no_job" => Ok(GaveUp::Over(Canceled::NoJob)),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}
