//! From a request to a session that takes connections; or to none at all, with nothing left behind.

use std::time::Duration;

use drydock_database::{
    job::{Accepted, Idempotency},
    session::{self, GaveUp, NewSession, SessionRow, SessionStatus},
};
use drydock_domain::{JobId, JobState, TenantId};
use drydock_runtime::tasks;
use tokio::time::Instant;

use super::request::SessionRequest;
use crate::{
    error::ApiError,
    jobs::key_reused,
    state::{App, Shared},
    validate::{Fault, refused},
};

const NO_SLOT: &str = "No worker has a free session slot";
const NOT_TAKEN: &str = "No worker took the session in time";
const BUSY: &str = "Another job of the project runs, and did not end in time";
const SLOW: &str = "The session's workspace and server took too long";
const STOPPING: &str = "The server is stopping";
/// How long a request may be silent that waits, and how often it says that it does.
const PATIENCE: Duration = Duration::from_secs(15);
const SAID: Duration = Duration::from_secs(5);
/// How much longer its job waits than we do: the dispatcher ends it where this process could not.
const MARGIN: Duration = Duration::from_secs(5);

/// Starts a session and waits until it is ready; and whether it was asked for before.
pub(super) async fn begin(
    app: &Shared,
    tenant: TenantId,
    request: SessionRequest,
    idempotency: Option<Idempotency>,
) -> Result<(SessionRow, bool), ApiError> {
    let SessionRequest { project, server, idle_timeout_s, read_only } = request;
    // Slots that other tenants' jobs take are not free.
    let key = idempotency.as_ref().map(|idempotency| idempotency.key.clone());
    let room = session::room(&app.unscoped().await?, tenant, project, &server, key.as_deref()).await?;
    if !room.project {
        return Err(ApiError::NO_PROJECT);
    }
    if !room.servers.contains(&server) {
        return Err(refused("server", unknown(&server, &room.servers)));
    }
    // One that was asked for before may be what takes the place.
    if !room.free && !room.asked {
        return Err(unavailable(NO_SLOT));
    }
    let wait = app.config.session_wait;
    let new = NewSession {
        project,
        server,
        read_only,
        idle_timeout_s: Some(idle_timeout_s),
        patience: PATIENCE,
        queue_timeout_s: i32::try_from((wait + MARGIN).as_secs().max(1)).unwrap_or(i32::MAX),
        idempotency,
    };
    let started = session::start(&app.client(tenant).await?, tenant, &new).await?;
    let (id, replayed) = match started {
        Accepted::New(id) => (id, false),
        Accepted::Replayed(id) => (id, true),
        Accepted::KeyReused => return Err(key_reused()),
        Accepted::NoProject | Accepted::NoDependency => return Err(ApiError::NO_PROJECT),
        Accepted::OverQuota(lacks) => return Err(ApiError::over_quota(&lacks)),
    };
    let mut begun = Begun { app: app.clone(), tenant, id, key, replayed, settled: false };
    app.waker.wake_all();
    if !replayed && !room.free {
        begun.give_up(NO_SLOT).await?;
        return Err(unavailable(NO_SLOT));
    }
    Ok((begun.until_ready().await?, replayed))
}

fn unknown(server: &str, known: &[String]) -> Fault {
    if known.is_empty() {
        return Fault::value(format!("no worker has ever offered session server '{server}', nor any other"));
    }
    Fault::value(format!("no worker has ever offered session server '{server}'; known are {}", known.join(", ")))
}

const fn unavailable(detail: &'static str) -> ApiError {
    ApiError::Unavailable { detail, cause: None }
}

/// A session that somebody waits for; given up when dropped before it is settled: nobody would know of it.
struct Begun {
    app: Shared,
    tenant: TenantId,
    id: JobId,
    key: Option<String>,
    /// Whether it was asked for before: then it is told as it is now.
    replayed: bool,
    settled: bool,
}

impl Begun {
    async fn until_ready(&mut self) -> Result<SessionRow, ApiError> {
        let app = self.app.clone();
        let (taken_by, ready_by) = (Instant::now() + app.config.session_wait, Instant::now() + app.config.wait_limit);
        let mut watch = app.feed.watch();
        let mut said = Instant::now();
        loop {
            if said.elapsed() >= SAID {
                said = Instant::now();
                session::want(&app.client(self.tenant).await?, self.id, PATIENCE).await?;
            }
            let row = session::find(&app.client(self.tenant).await?, self.tenant, self.id).await?;
            let row = row.ok_or_else(|| ApiError::Internal(format!("session {} cannot be read", self.id)))?;
            if row.status == SessionStatus::Ready || self.replayed && row.ready_at.is_some() {
                session::told(&app.client(self.tenant).await?, self.id).await?;
                self.settled = true;
                return Ok(row);
            }
            if row.status.is_over() {
                return Err(self.failed(row).await?);
            }
            let running = row.job_state == JobState::Running;
            let deadline = if running { ready_by } else { taken_by };
            if Instant::now() >= deadline {
                let why = match row.job_state {
                    JobState::Running => SLOW,
                    JobState::Pending => BUSY,
                    _ => NOT_TAKEN,
                };
                if self.give_up(why).await? {
                    continue;
                }
                return Err(unavailable(why));
            }
            tokio::select! {
                () = watch.news(Some(self.id)) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = app.shutdown.triggered() => {
                    if !self.give_up(STOPPING).await? {
                        return Err(unavailable(STOPPING));
                    }
                }
            }
        }
    }

    /// Why it never became ready.
    async fn failed(&mut self, row: SessionRow) -> Result<ApiError, ApiError> {
        if row.failure_kind.as_deref() == Some("queue_timeout") {
            self.give_up(NOT_TAKEN).await?;
            return Ok(unavailable(NOT_TAKEN));
        }
        self.settled = true;
        if row.status == SessionStatus::Terminated {
            return Ok(ApiError::Conflict("The session was ended before anybody was told where it is".into()));
        }
        let reason = row.failure().unwrap_or("The session ended.");
        let output = row.output.as_ref().map(|output| format!("\n{output}")).unwrap_or_default();
        Ok(ApiError::SessionStartFailed(format!("{reason}{output}")))
    }

    /// Whether it became ready all the same, just in time.
    async fn give_up(&mut self, reason: &str) -> Result<bool, ApiError> {
        let client = self.app.client(self.tenant).await?;
        let gave_up = session::give_up(&client, self.tenant, self.id, self.key.as_deref(), reason).await?;
        drop(client);
        self.settled = true;
        self.app.waker.wake_all();
        Ok(gave_up == GaveUp::Ready)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (app, tenant, id, key) = (self.app.clone(), self.tenant, self.id, self.key.take());
        tasks::spawn("give a session up", async move { abandon(&app, tenant, id, key.as_deref()).await });
    }
}

/// Whoever asked has gone, so that a session that is ready is of no use either.
async fn abandon(app: &App, tenant: TenantId, id: JobId, key: Option<&str>) {
    let ended = async {
        let client = app.client(tenant).await?;
        if session::give_up(&client, tenant, id, key, "whoever asked for it has gone").await? == GaveUp::Ready {
            session::release(&client, tenant, id).await?;
        }
        Ok::<_, drydock_database::DatabaseError>(())
    };
    if let Err(error) = ended.await {
        tracing::warn!(session = %id, "failed to give a session up: {}", drydock_runtime::exit::chain(&error));
    }
    app.waker.wake_all();
}
