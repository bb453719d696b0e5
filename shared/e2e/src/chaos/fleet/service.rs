//! One service: its process, its ways to the servers, and what can be done to it.

use std::{
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use drydock_testing::Proxy;
use rand::RngExt as _;
use rustix::process::Signal;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::settings::Common;
use crate::{
    chaos::{
        clock::{Millis, now},
        history::Helpless,
        http,
        servers::Servers,
    },
    process::Process,
};

/// Until a started process can have come to hear signals, on a busy machine.
const START: Duration = Duration::from_secs(5);

/// What a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// drydock-api.
    Api,
    /// drydock-dispatcher.
    Dispatcher,
    /// drydock-worker.
    Worker,
}

impl Role {
    /// Its name, and how its services' names begin.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Dispatcher => "dispatcher",
            Self::Worker => "worker",
        }
    }
}

/// A server at the other end of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// PostgreSQL.
    Postgres,
    /// RabbitMQ.
    Rabbitmq,
    /// S3.
    S3,
}

impl Link {
    const ALL: [Self; 3] = [Self::Postgres, Self::Rabbitmq, Self::S3];
}

/// One service.
pub(crate) struct Service {
    /// Like `worker-2`.
    pub(crate) name: String,
    /// What it is.
    pub(crate) role: Role,
    /// Where an API serves.
    pub(crate) base: Option<String>,
    /// Where its metrics are.
    pub(crate) admin: String,
    /// Of its scratch directory, where it is a worker.
    pub(crate) scratch: PathBuf,
    links: [Proxy; 3],
    state: Mutex<State>,
    /// One fault at a time, however long another takes.
    busy: tokio::sync::Mutex<()>,
    starts: AtomicU32,
}

struct State {
    process: Process,
    started: Instant,
    /// Since when it stands still; that time is none in which it could have begun to hear signals.
    frozen: Option<Instant>,
    /// Whether it should run: its keeper starts it again then.
    wanted: bool,
    /// Since when it is dead or frozen, and whether dead.
    helpless_since: Option<(Millis, bool)>,
    helpless: Vec<Helpless>,
    /// Ends that nobody had asked for.
    unexpected: Vec<String>,
    /// Starts that gave up because a server was away, as they say they do.
    gave_up: u64,
}

impl Service {
    pub(super) async fn start(
        role: Role,
        number: usize,
        servers: &Servers,
        common: &Common,
        directory: &Path,
    ) -> Result<Self> {
        let name = format!("{}-{number}", role.name());
        let owner = servers.database_url(&common.database)?.into();
        let connects =
            if role == Role::Api { drydock_testing::as_api(&owner) } else { drydock_testing::as_fleet(&owner) };
        let (postgres, amqp, s3) = (
            connects.expose_secret().to_owned(),
            servers.setting("DRYDOCK_AMQP_URL")?,
            servers.setting("DRYDOCK_S3_ENDPOINT")?,
        );
        let ((to_postgres, postgres), (to_amqp, amqp), (to_s3, s3)) =
            (through_proxy(&postgres).await, through_proxy(amqp).await, through_proxy(s3).await);
        let (admin, api) = (steady_address()?, steady_address()?);
        let scratch = directory.join("scratch").join(&name);
        let temp = directory.join("tmp").join(&name);
        fs_err::create_dir_all(&temp)?;
        let own = [
            ("DRYDOCK_DATABASE_URL", postgres),
            ("DRYDOCK_AMQP_URL", amqp),
            ("DRYDOCK_S3_ENDPOINT", s3),
            ("DRYDOCK_ADMIN_ADDR", admin.clone()),
            ("DRYDOCK_API_ADDR", api.clone()),
            ("DRYDOCK_SCRATCH_DIR", scratch.display().to_string()),
            ("TMPDIR", temp.display().to_string()),
        ];
        let program = format!("drydock-{}", role.name());
        let process = Process::spawn(&program, &name, &common.settings(servers)?, &own, directory);
        let state = State {
            process,
            started: Instant::now(),
            frozen: None,
            wanted: true,
            helpless_since: None,
            helpless: Vec::new(),
            unexpected: Vec::new(),
            gave_up: 0,
        };
        Ok(Self {
            base: (role == Role::Api).then(|| format!("http://{api}")),
            admin: format!("http://{admin}"),
            links: [to_postgres, to_amqp, to_s3],
            state: Mutex::new(state),
            busy: tokio::sync::Mutex::default(),
            starts: AtomicU32::new(1),
            name,
            role,
            scratch,
        })
    }

    /// Its way to a server.
    pub(crate) fn link(&self, link: Link) -> &Proxy {
        &self.links[link as usize]
    }

    /// Its ways to all servers.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Proxy> {
        Link::ALL.into_iter().map(|link| self.link(link))
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Kills it as a crash would; it stays dead until [`Self::revive`].
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.wanted = false;
        state.helpless_since.get_or_insert_with(|| (now(), true));
        state.process.kill();
    }

    /// Starts it again, unless somebody has.
    pub(crate) fn revive(&self) {
        let mut state = self.state();
        if state.wanted {
            return;
        }
        state.process.restart();
        (state.started, state.frozen) = (Instant::now(), None);
        self.starts.fetch_add(1, Ordering::Relaxed);
        state.wanted = true;
        self.is_well(&mut state);
    }

    /// Stops its threads where they are.
    pub(crate) fn freeze(&self) {
        let mut state = self.state();
        if state.process.has_ended().is_none() {
            state.helpless_since.get_or_insert_with(|| (now(), false));
            state.process.signal(Signal::STOP);
            state.frozen.get_or_insert_with(Instant::now);
        }
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        let mut state = self.state();
        if state.process.has_ended().is_none() {
            state.process.signal(Signal::CONT);
            if let Some(frozen) = state.frozen.take() {
                state.started += frozen.elapsed();
            }
            self.is_well(&mut state);
        }
    }

    /// Asks it to stop and waits for its end; what is bad about that end, where something is. It stays stopped.
    pub(crate) async fn stop(&self, patience: Duration) -> Option<String> {
        {
            let mut state = self.state();
            state.wanted = false;
            if state.process.has_ended().is_none() {
                state.process.signal(Signal::TERM);
            }
        }
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if let Some(status) = self.ended_well() {
                return status.err();
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.kill();
        Some(format!("{} did not stop within {patience:?} of SIGTERM", self.name))
    }

    /// How it ended, where it did. Before it can hear SIGTERM, that ends it as it ends any program; and it may have given up its
    /// start by itself.
    fn ended_well(&self) -> Option<Result<(), String>> {
        let mut state = self.state();
        let status = state.process.has_ended()?;
        let too_early = status.signal() == Some(Signal::TERM.as_raw()) && state.started.elapsed() < START;
        let gave_up = status.code() == Some(drydock_runtime::exit::UNAVAILABLE.into());
        Some(if status.success() || too_early || gave_up {
            Ok(())
        } else {
            Err(format!("{} stopped with {status}", self.name))
        })
    }

    /// Waits until no other fault has this service's process.
    pub(crate) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.busy.lock().await
    }

    /// Notes an end that nobody asked for; whether there was one.
    pub(super) fn ended_by_itself(&self) -> bool {
        let mut state = self.state();
        if !state.wanted {
            return false;
        }
        let Some(status) = state.process.has_ended() else { return false };
        if status.code() == Some(drydock_runtime::exit::UNAVAILABLE.into()) {
            state.gave_up += 1;
        } else {
            state.unexpected.push(format!("{} ended by itself at {} ms: {status}", self.name, now()));
        }
        state.helpless_since.get_or_insert_with(|| (now(), true));
        state.wanted = false;
        true
    }

    /// Ends that nobody had asked for.
    pub(crate) fn unexpected(&self) -> Vec<String> {
        self.state().unexpected.clone()
    }

    /// How often it gave up its start because a server was away.
    pub(crate) fn gave_up(&self) -> u64 {
        self.state().gave_up
    }

    /// When it could do nothing about its agents.
    pub(crate) fn helpless(&self) -> Vec<Helpless> {
        self.state().helpless.clone()
    }

    /// Whether it says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let answer = http::client().get(format!("{}/readyz", self.admin)).timeout(Duration::from_secs(3)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    fn is_well(&self, state: &mut State) {
        if let Some((from, killed)) = state.helpless_since.take() {
            state.helpless.push(Helpless { worker: self.name.clone(), killed, from, until: now() });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy to the server of `url`, and the URL that leads through it.
async fn through_proxy(url: &str) -> (Proxy, String) {
    let after_user = url.rfind('@').map_or_else(|| url.find("://").map_or(0, |at| at + 3), |at| at + 1);
    let end = url[after_user..].find('/').map_or(url.len(), |at| after_user + at);
    let proxy = Proxy::start(url[after_user..end].to_owned()).await;
    let through = format!("{}{}{}", &url[..after_user], proxy.address(), &url[end..]);
    (proxy, through)
}

/// A free address that stays free while its service is down: not from the range of outgoing connections (32768 and up).
fn steady_address() -> Result<String> {
    let mut ports = (0..1000).map(|_| rand::rng().random_range(20_000..30_000_u16));
    let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no port is free")?;
    Ok(format!("127.0.0.1:{port}"))
}
