//! A developer's machine as a part of the fleet: a folder that is kept like a project's newest version, and in which the project's jobs run
//! while the daemon is connected. Outbound only: one WebSocket, and HTTP for files. What the fleet does not know yet is on disk, so that
//! neither a lost connection nor a killed daemon loses anything or does it twice.

pub mod command;
mod error;
mod events;
mod job;
mod link;
mod speaker;
mod spool;
mod state;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token;

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use drydock_agent::{Agents, AgentsConfig, end_strays};
use drydock_client::Client;
use drydock_domain::ProjectId;
use drydock_runtime::Shutdown;
use secrecy::SecretString;
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    command::{Limits, Policy},
    events::Events,
    job::{Jobs, Task, Workshop},
    link::{Address, Ending, Link, Rhythm, Stop},
    speaker::Daemon,
    spool::Spool,
    state::StateDir,
    sync::{Folder, Look, keep},
    token::Token,
};
use crate::output::Output;

pub use error::DaemonError;
pub use link::{AddressError, Final};
pub use state::StateError;

/// Of the 10 s that a stop may take: for jobs to end, for a last comparison, and for all of it.
const JOBS_END: Duration = Duration::from_secs(5);
const LAST_SYNC: Duration = Duration::from_secs(2);
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// What a daemon is told.
#[derive(Debug)]
pub struct Settings {
    /// The server, and who asks for a token there.
    pub login: Client,
    /// The server's address.
    pub server: String,
    /// The project.
    pub project: ProjectId,
    /// The folder.
    pub dir: PathBuf,
    /// Where its state is, instead of the default.
    pub state_dir: Option<PathBuf>,
    /// Its token, instead of one it makes.
    pub token: Option<SecretString>,
    /// Whether it speaks in the clear to other machines.
    pub insecure: bool,
    /// Its agents.
    pub agents: AgentsConfig,
    /// Programs that commands may run, instead of the default ones.
    pub allow: Vec<String>,
    /// What commands may take.
    pub limits: Limits,
}

/// Runs a daemon until a signal.
///
/// # Errors
/// It cannot start, or the fleet wants it no more.
pub async fn run(settings: Settings, output: Arc<Output>) -> Result<(), DaemonError> {
    let unusable = |source| DaemonError::Folder { path: settings.dir.clone(), source };
    let root = fs_err::canonicalize(&settings.dir).map_err(unusable)?;
    fs_err::read_dir(&root).map_err(unusable)?;
    let project = settings.project;
    let state_path = match &settings.state_dir {
        Some(path) => path.clone(),
        None => StateDir::default_path(project, &root)?,
    };
    let state = StateDir::open(&state_path, &root, project)?;
    // Before a token goes anywhere.
    Address::new(&settings.login, project, String::new().into(), settings.insecure)?;
    let agents = Agents::load(&settings.agents)?;
    let names = agents.names();
    let shutdown = Shutdown::on_signals().map_err(DaemonError::Disk)?;
    let mut token = Token::find(settings.token.clone(), &state, &settings.login, project, &root).await?;
    let mut client = client(&settings, &token)?;
    if token.is_refused(&client, project).await? && matches!(token, Token::Kept(_)) {
        token = Token::make(&state, &settings.login, project, &root).await?;
        client = self::client(&settings, &token)?;
    }
    let address = Address::new(&client, project, token.secret().clone(), settings.insecure)?;
    let events = Arc::new(Events::new(output));
    let index = state.join("index");
    let folder = Folder::open(root, project.to_string(), client, index, Arc::clone(&events));
    let folder = Arc::new(folder.map_err(DaemonError::Disk)?);
    let spool = Arc::new(Spool::open(state.join("attempts")).map_err(DaemonError::Disk)?);
    end_leftovers(&state, &events).await;
    let (jobs, work) = Jobs::new(Workshop {
        folder: Arc::clone(&folder),
        spool: Arc::clone(&spool),
        agents,
        policy: Policy::new(&settings.allow),
        limits: settings.limits,
        events: Arc::clone(&events),
    });
    let daemon = Daemon { instance: state.instance, folder, spool, agents: names, jobs };
    serve(&daemon, work, address, &events, &shutdown).await
}

fn client(settings: &Settings, token: &Token) -> Result<Client, DaemonError> {
    // Whoever needs an answer tries again by itself.
    Ok(Client::new(&settings.server, Some(token.secret()))?.with_patience(Duration::ZERO))
}

/// Agents outlive a daemon that was killed.
async fn end_leftovers(state: &StateDir, events: &Events) {
    let attempts = state.join("attempts");
    let ended = tokio::task::spawn_blocking(move || end_strays(&attempts)).await;
    match ended.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(0) => {}
        Ok(count) => events.warn(&format!("ended {count} processes that an earlier daemon had left running")),
        Err(error) => events.warn(&format!("cannot end what an earlier daemon may have left running: {error}")),
    }
}

async fn serve(
    daemon: &Daemon,
    work: UnboundedReceiver<Task>,
    address: Address,
    events: &Events,
    shutdown: &Shutdown,
) -> Result<(), DaemonError> {
    daemon.jobs.resume();
    let (stop, stop_keeping) = (Stop::default(), CancellationToken::new());
    let link =
        Link { address, speaker: daemon, spool: &daemon.spool, events, rhythm: Rhythm::default(), stop: stop.clone() };
    let mut working = pin!(daemon.jobs.work(work));
    let keeping = async {
        keep(&daemon.folder, events, &stop_keeping).await;
        std::future::pending().await
    };
    let stopping = async {
        shutdown.triggered().await;
        events.warn("stopping");
        daemon.jobs.stop_all();
        let idle = timeout(JOBS_END, daemon.jobs.idle());
        tokio::select! { _late = idle => {}, () = shutdown.forced() => {} }
        // What could not be sent is found by the next run.
        let _left = timeout(LAST_SYNC, daemon.folder.sync(Look::Known)).await;
        stop.soon.cancel();
        tokio::select! { () = sleep(LAST_WORDS) => {}, () = shutdown.forced() => {} }
        stop.now.cancel();
        std::future::pending().await
    };
    let ending = tokio::select! {
        ending = link.run() => ending,
        never = keeping => never,
        never = stopping => never,
        () = &mut working => Ending::Stopped,
    };
    match ending {
        Ending::Final(over) => {
            daemon.jobs.stop_all();
            let idle = timeout(JOBS_END, daemon.jobs.idle());
            tokio::select! { _late = idle => {}, () = working => {} }
            Err(over.into())
        }
        Ending::Stopped | Ending::Lost(_) => Ok(()),
    }
}
