//! A server held open on a workspace: started, found, held until it is to go, and ended with all it started, children first.
//!
//! Owns its port: what it was given, or how it is learned. Refuses to know why it is released and who is told that it is ready.

mod connections;
mod port;
mod words;

use std::{
    future::Future,
    io,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use drydock_domain::{AttemptId, agent::AgentRequest};
use tokio::{net::unix::pipe::Receiver, sync::mpsc};
use tokio_util::sync::CancellationToken;

use self::{connections::Watch, port::PortSource, words::Words};
use super::{
    ending::Ending,
    environment::{self, Places},
    error::AgentError,
    execute::watched,
    heard::Heard,
    hold::Hold,
    jail::{self, Jail},
    limits::Excess,
    network,
    output::{self, AgentOutput, Lines, MAX_LINE, Sink},
    process::{self, Belongings, Running, Start},
    program,
    redact::Redactor,
    server::ServerSpec,
    spec::Variable,
};

/// How long the rest of its output may wait for its receiver once it is to go.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Between two looks at its connections at most.
const LOOK: Duration = Duration::from_secs(1);

/// Everything one session's server needs.
pub struct Serve<'a> {
    /// The server.
    pub spec: &'a ServerSpec,
    /// What it learns of its job.
    pub request: &'a AgentRequest,
    /// Marks all its processes.
    pub attempt: AttemptId,
    /// Working directory.
    pub workspace: &'a Path,
    /// Its walls, if it has any.
    pub jail: Option<&'a Jail>,
    /// Private home directory, outside the workspace.
    pub home: &'a Path,
    /// Private directory for temporary files, outside the workspace.
    pub tmp: &'a Path,
    /// The address it is to listen on.
    pub bind: IpAddr,
    /// Ends it after so long without use.
    pub idle: Option<Duration>,
    /// Stops it in order.
    pub release: CancellationToken,
    /// Stops it: nothing of it is wanted.
    pub cancel: CancellationToken,
    /// Freezes it; the time frozen counts toward no limit.
    pub hold: Hold,
    /// Receives its output. It waits while this is full.
    pub output: mpsc::Sender<AgentOutput>,
}

/// Why a server is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// It took no connections in time, or ended before: in one sentence.
    NotStarted(String),
    /// It was released.
    Released,
    /// Nobody was connected to it for this long.
    Idle(Duration),
    /// It took more of the node than it may.
    OverLimit(Excess),
    /// It ended by itself.
    Ended(Ending),
    /// It was told to stop.
    Canceled,
}

/// What came of a server.
#[derive(Debug)]
pub struct Served {
    /// Why it is over.
    pub over: Over,
    /// Its last output, at most 4 KiB.
    pub last_words: Option<String>,
}

/// Runs a server until it is over. `ready` is told its port once that takes connections; `false`: it is not wanted any more. When this
/// returns, nothing it started is alive.
///
/// # Errors
/// Only what is our own inability.
pub async fn serve<F>(launch: Serve<'_>, ready: impl FnOnce(u16) -> F) -> Result<Served, AgentError>
where
    F: Future<Output = bool>,
{
    let redactor = Redactor::new(launch.spec.program.variables.iter().filter_map(Variable::bytes))
        .map_err(|error| AgentError::Prepare { what: "redaction", source: io::Error::other(error) })?;
    let sink = Sink {
        sender: launch.output.clone(),
        redactor: Arc::new(redactor),
        abandoned: CancellationToken::new(),
        heard: Heard::new(&launch.hold),
        said: Arc::default(),
    };
    let canceled = launch.cancel.clone();
    let last_words = async {
        canceled.cancelled().await;
        tokio::time::sleep(launch.spec.program.grace + LAST_WORDS).await;
        sink.abandoned.cancel();
        std::future::pending().await
    };
    tokio::select! {
        served = carry_out(&launch, &sink, ready) => served,
        never = last_words => never,
    }
}

async fn carry_out<F>(launch: &Serve<'_>, sink: &Sink, ready: impl FnOnce(u16) -> F) -> Result<Served, AgentError>
where
    F: Future<Output = bool>,
{
    tokio::select! {
        () = launch.hold.released() => {}
        () = launch.cancel.cancelled() => return Ok(Served { over: Over::Canceled, last_words: None }),
    }
    let port = PortSource::new(&launch.spec.port, launch.bind, launch.tmp);
    let mut words = Words::new(port.pattern(), port.printed());
    let prepared = match port.given() {
        Ok(given) => start(launch, given, port.file()).await,
        Err(reason) => return Ok(Served { over: Over::NotStarted(reason), last_words: None }),
    };
    let (running, out) = match prepared {
        Ok(started) => started,
        Err(error) if process::agents_own_fault(&error) => {
            let over = Over::NotStarted(format!("Server process could not be started: {error}."));
            return Ok(Served { over, last_words: None });
        }
        Err(source) => return Err(AgentError::Spawn { agent: launch.spec.name().to_owned(), source }),
    };
    let ended = CancellationToken::new();
    let reading = output::read(out, Lines::new(MAX_LINE), &mut words, sink, &ended);
    let holding = async {
        let over = hold(running, launch, &port, sink, ready).await;
        ended.cancel();
        over
    };
    let (read, over) = tokio::join!(reading, holding);
    let over = over?;
    read.map_err(|source| AgentError::Processes { operation: "read", source })?;
    Ok(Served { over, last_words: words.last() })
}

/// Starts the program; both its outputs share one pipe, which keeps their order.
async fn start(launch: &Serve<'_>, port: Option<u16>, port_file: &Path) -> io::Result<(Running, Receiver)> {
    let Serve { workspace, home, tmp, .. } = *launch;
    let line = launch.spec.command_line(workspace, launch.bind, port, port_file);
    let program = program::locate(&line[0], &launch.spec.program.path)?;
    let walls = launch.jail.map(|jail| {
        let network = network::serving(&launch.spec.program.network.walls(None), port);
        jail.walls(&jail::Places { program: Some(&program), workspace, home, tmp }, &network)
    });
    let (out, stdout) = io::pipe()?;
    let stderr = stdout.try_clone()?;
    let places = Places { workspace, home, tmp };
    let environment = environment::build(&launch.spec.program, launch.request, launch.attempt, &places);
    let belongings = Belongings::new(launch.attempt, &[workspace, home, tmp]);
    let start = Start {
        program,
        walls,
        line,
        environment,
        workspace: workspace.to_owned(),
        stdout: stdout.into(),
        stderr: stderr.into(),
        belongings,
    };
    Ok((process::start(start).await?, Receiver::from_owned_fd(out.into())?))
}

/// From the start to the end of everything it started.
async fn hold<F>(
    mut running: Running,
    launch: &Serve<'_>,
    port: &PortSource<'_>,
    sink: &Sink,
    ready: impl FnOnce(u16) -> F,
) -> Result<Over, AgentError>
where
    F: Future<Output = bool>,
{
    let server = running.leader();
    let belongings = running.belongings();
    let _entered = launch.hold.enter(server, belongings.clone());
    let began = launch.hold.elapsed();
    let mut exceeds = std::pin::pin!(watched(&running, &launch.spec.program, sink).exceeds());
    let found = tokio::select! {
        biased;
        status = running.wait() => {
            // Its supervisor may have been killed: what that leaves is swept before anybody is told.
            running.sweep().await?;
            let ending = Ending::of(status?);
            return Ok(Over::NotStarted(format!("Server process {ending} before it took connections.")));
        }
        () = launch.cancel.cancelled() => Err(Over::Canceled),
        () = launch.release.cancelled() => Err(Over::Canceled),
        found = port.accepts(server, &belongings) => Ok(found),
        excess = &mut exceeds => Err(Over::OverLimit(excess)),
        () = launch.hold.reaches(began + launch.spec.start_timeout) => {
            Err(Over::NotStarted("Server process failed to report its port in time.".to_owned()))
        }
    };
    let over = match found {
        Ok((number, listeners)) => {
            // To tell that it is ready may take as long as an outage; it may end meanwhile.
            let used = async {
                if ready(number).await {
                    Over::Idle(idle(launch, Watch::new(server, number, listeners)).await)
                } else {
                    Over::Canceled
                }
            };
            tokio::select! {
                biased;
                status = running.wait() => {
                    running.sweep().await?;
                    let ending = Ending::of(status?);
                    return Ok(Over::Ended(ending));
                }
                () = launch.cancel.cancelled() => Over::Canceled,
                () = launch.release.cancelled() => Over::Released,
                excess = &mut exceeds => Over::OverLimit(excess),
                over = used => over,
            }
        }
        Err(over) => over,
    };
    let is_to_go_at_once = launch.hold.is_condemned() || matches!(over, Over::OverLimit(_));
    let grace = if is_to_go_at_once { Duration::ZERO } else { launch.spec.program.grace };
    let asked_at = Instant::now();
    running.stop_from_below(grace).await?;
    running.sweep().await?;
    tracing::debug!(took_ms = asked_at.elapsed().as_millis(), "the session's server is gone");
    Ok(over)
}

/// Resolves when nobody used it for the time agreed.
async fn idle(launch: &Serve<'_>, mut watch: Watch) -> Duration {
    let Some(limit) = launch.idle else { return std::future::pending().await };
    let look = LOOK.min(limit / 4).max(Duration::from_millis(50));
    // What there is now, such as what the look for its port left, is no use of it.
    let _first = watch.is_used().await;
    let mut last = launch.hold.elapsed();
    loop {
        tokio::time::sleep(look).await;
        let now = launch.hold.elapsed();
        if watch.is_used().await {
            last = now;
        } else if now.saturating_sub(last) >= limit {
            return limit;
        }
    }
}
