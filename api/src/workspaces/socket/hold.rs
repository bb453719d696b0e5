//! The life of one connection: hello, then jobs one way and what came of them the other, until one side has enough.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use axum::extract::ws::WebSocket;
use drydock_database::{
    Client, worker,
    workspace::{self, Connect, Connected},
};
use drydock_domain::{
    AttemptId, Phase, ProjectId, WorkerId,
    daemon::{FromDaemon, HEARTBEAT, MAX_NAMED, PROTOCOL, SILENCE, ToDaemon, close},
};
use drydock_runtime::exit::chain;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use uuid::Uuid;

use super::{
    line::{End, Line},
    note,
};
use crate::{auth::Caller, events::Watch, state::App, validate::rules};

/// How long a daemon may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// Shortest time between two looks for jobs that news ask for.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest build, in bytes.
const MAX_BUILD: usize = 100;

/// A daemon that holds its workspace.
pub(super) struct Held<'a> {
    pub(super) app: &'a App,
    pub(super) caller: Caller,
    pub(super) project: ProjectId,
    pub(super) connection: Uuid,
    pub(super) worker: WorkerId,
    pub(super) line: Line,
    /// The newest version, when it was last asked for.
    pub(super) head: i32,
    /// Attempts that the daemon has.
    pub(super) in_hand: BTreeSet<AttemptId>,
    /// Of these, those it was told to stop.
    pub(super) cancelled: BTreeSet<AttemptId>,
    /// What it says its attempts are at.
    pub(super) phases: Vec<(AttemptId, Phase)>,
}

/// Serves a daemon from its hello to its end; answers which of [`super::ENDS`] that was.
pub(super) async fn hold(
    app: &App,
    (caller, project): (Caller, ProjectId),
    ip: Option<IpAddr>,
    socket: WebSocket,
) -> &'static str {
    let mut line = Line(socket);
    // Before it is looked at what waits, so that nothing that comes meanwhile is missed.
    let watch = app.feed.watch();
    let welcomed = match timeout(HELLO, line.next()).await {
        Ok(Ok(hello)) => welcome(app, (caller, project), ip, hello).await,
        Ok(Err(end)) => Err(end),
        Err(_) => Err(End::protocol(format!("no hello within {}s", HELLO.as_secs()))),
    };
    let (worker, head, connection, in_hand) = match welcomed {
        Ok(welcomed) => welcomed,
        Err(end) => {
            line.close(&end).await;
            return end.word();
        }
    };
    tracing::info!(%project, %connection, "a daemon is connected");
    let in_hand = in_hand.into_iter().collect();
    let (cancelled, phases) = (BTreeSet::new(), Vec::new());
    let mut held = Held { app, caller, project, connection, worker, line, head, in_hand, cancelled, phases };
    let end = held.serve(watch).await;
    tracing::info!(%project, %connection, "a daemon is gone: {end:?}");
    let bye = matches!(end, End::Bye);
    let left = async { workspace::left(&app.client(caller.tenant).await?, project, connection, bye).await }.await;
    if let Err(error) = left {
        tracing::warn!(%project, "failed to note that a daemon is gone, its silence will tell: {}", chain(&error));
    }
    held.line.close(&end).await;
    app.waker.wake_all();
    end.word()
}

async fn welcome(
    app: &App,
    (caller, project): (Caller, ProjectId),
    ip: Option<IpAddr>,
    hello: FromDaemon,
) -> Result<(WorkerId, i32, Uuid, Vec<AttemptId>), End> {
    let FromDaemon::Hello { protocol, instance, build, agents, running } = hello else {
        return Err(End::protocol("the first frame is a hello"));
    };
    if protocol != PROTOCOL {
        return Err(End::protocol(format!("this server speaks version {PROTOCOL}, the daemon {protocol}: update it")));
    }
    check(&build, &agents, &running)?;
    let connect = Connect { project, instance, connection: Uuid::now_v7(), agents, build };
    let client = app.client(caller.tenant).await?;
    match workspace::connect(&client, caller.tenant, &connect, app.config.daemon_lease).await? {
        Connected::Yes { worker, head } => {
            drop(client);
            note::connected(app, &caller, &connect, ip).await?;
            Ok((worker, head, connect.connection, running))
        }
        Connected::NoProject => Err(End::Cut(close::NO_PROJECT, "the project is deleted".to_owned())),
        Connected::Isolation => Err(End::Cut(
            close::ISOLATION,
            "the project asks for isolation, which a daemon does not give: set its min_isolation to none".to_owned(),
        )),
    }
}

/// What a daemon says of itself is shown to others: it is short, and names are names.
fn check(build: &str, agents: &[String], running: &[AttemptId]) -> Result<(), End> {
    if agents.len() > MAX_NAMED || running.len() > MAX_NAMED {
        return Err(End::protocol(format!("a hello names at most {MAX_NAMED} agents and as many attempts")));
    }
    if build.len() > MAX_BUILD || build.contains(char::is_control) {
        return Err(End::protocol(format!("a build has at most {MAX_BUILD} printable characters")));
    }
    match agents.iter().find(|name| rules::name(&name.as_str().into()).is_err()) {
        Some(_) => Err(End::protocol("the name of an agent has 1 to 64 letters, digits, '-', '_' or '.'")),
        None => Ok(()),
    }
}

impl Held<'_> {
    async fn serve(&mut self, mut watch: Watch) -> End {
        let Err(end) = self.work(&mut watch).await;
        end
    }

    async fn work(&mut self, watch: &mut Watch) -> Result<std::convert::Infallible, End> {
        self.line.send(&ToDaemon::Welcome { connection: self.connection, head: self.head }).await?;
        // Several in the time of a lease, one of which may get lost.
        let beat = HEARTBEAT.min(self.app.config.daemon_lease / 4);
        let (mut beat, mut look) = (every(beat), every(self.app.config.key_cache));
        let (mut heard, mut news) = (Instant::now(), News::default());
        self.renew().await?;
        loop {
            tokio::select! {
                frame = self.line.next() => {
                    self.take(frame?).await?;
                    heard = Instant::now();
                }
                () = watch.news_of(self.project) => news.come(),
                () = news.due() => {
                    news.seen();
                    self.hand_over().await?;
                }
                _ = beat.tick() => {
                    self.renew().await?;
                    self.line.send(&ToDaemon::Heartbeat { head: self.head }).await?;
                }
                _ = look.tick() => {
                    self.look().await?;
                    // What waited for its pause to end came without news.
                    self.hand_over().await?;
                }
                () = sleep_until(heard + SILENCE) => return Err(End::come_back("nothing was heard for too long")),
                () = self.app.shutdown.triggered() => return Err(End::come_back("the server stops")),
            }
        }
    }

    /// Whether its token counts still, and no other connection has taken its place.
    async fn look(&mut self) -> Result<(), End> {
        if !self.caller.is_still_let_in(self.app).await {
            return Err(End::Cut(close::REVOKED, "the token counts no more".to_owned()));
        }
        let found = workspace::head(&self.client().await?, self.project, self.connection).await?;
        self.stands(found).await
    }

    /// Takes the newest version from what is known of the connection, and tells of a new one; without it, it is over.
    pub(super) async fn stands(&mut self, found: Option<i32>) -> Result<(), End> {
        if let Some(head) = found {
            if std::mem::replace(&mut self.head, head) == head {
                return Ok(());
            }
            return self.line.send(&ToDaemon::Heartbeat { head }).await;
        }
        let project = workspace::find(&self.client().await?, self.caller.tenant, self.project, SILENCE).await?;
        Err(match project {
            Some(_) => End::replaced(),
            None => {
                // What it has in hand is taken back at once.
                worker::end(&self.client().await?, self.worker).await?;
                End::Cut(close::NO_PROJECT, "the project is deleted".to_owned())
            }
        })
    }

    pub(super) async fn client(&mut self) -> Result<Client, End> {
        Ok(self.app.client(self.caller.tenant).await?)
    }
}

/// Events of the project, those that come together as one: a job that is busy has many.
struct News {
    /// When the jobs were looked at last.
    seen: Instant,
    waiting: bool,
}

impl Default for News {
    fn default() -> Self {
        Self { seen: Instant::now(), waiting: false }
    }
}

impl News {
    fn come(&mut self) {
        self.waiting = true;
    }

    fn seen(&mut self) {
        *self = Self::default();
    }

    /// Resolves when there is something to look at, and the last look was a while ago.
    async fn due(&self) {
        if !self.waiting {
            return std::future::pending().await;
        }
        sleep_until(self.seen + PAUSE).await;
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
