//! The program of one run: started, read while it runs, ended with all it started.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use drydock_egress::Broker;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

use super::{
    adapter::{Tail, Transcript},
    ending::Ending,
    environment::{self, Places},
    error::AgentError,
    jail,
    limits::Watched,
    output::{self, Lines, MAX_LINE, Sink},
    process::{self, Belongings, Running, Start},
    program,
    run::Launch,
    spec::{AgentSpec, Protocol},
};

/// Our ends of the pipes of one run.
struct Heard {
    out: Receiver,
    /// Only where standard output is not for people: otherwise both share one pipe, which keeps their order.
    err: Option<Receiver>,
}

/// Standard output and error of the program, and our ends of them.
fn pipes(protocol: Protocol) -> std::io::Result<(Heard, Stdio, Stdio)> {
    let (out, stdout) = std::io::pipe()?;
    let (err, stderr) = match protocol {
        Protocol::Codex => {
            let (err, stderr) = std::io::pipe()?;
            (Some(Receiver::from_owned_fd(err.into())?), stderr)
        }
        Protocol::File | Protocol::Exit => (None, stdout.try_clone()?),
    };
    let out = Receiver::from_owned_fd(out.into())?;
    Ok((Heard { out, err }, stdout.into(), stderr.into()))
}

/// What is to be run, and the way out that is left to it.
pub(super) struct Command<'a> {
    pub(super) line: Vec<OsString>,
    pub(super) broker: Option<&'a Broker>,
}

/// What is started, ready to start.
fn assemble(launch: &Launch<'_>, program: PathBuf, command: Command<'_>) -> Result<(Start, Heard), AgentError> {
    let prepare = |what| move |source| AgentError::Prepare { what, source };
    let Launch { spec, workspace, shared, home, tmp, .. } = *launch;
    if spec.protocol == Protocol::Codex {
        fs_err::create_dir_all(environment::codex_home(home)).map_err(prepare("CODEX_HOME"))?;
    }
    let (heard, stdout, stderr) = pipes(spec.protocol).map_err(prepare("pipes"))?;
    let places = Places { workspace, home, tmp };
    let Command { line, broker } = command;
    let mut environment = environment::build(spec, launch.request, launch.attempt, &places);
    environment.extend(broker.into_iter().flat_map(|broker| environment::way_out(spec, broker)));
    let directories: &[&Path] = if shared { &[home, tmp] } else { &[workspace, home, tmp] };
    let belongings = Belongings::new(launch.attempt, directories);
    let own = Some(program.as_path()).filter(|_| !spec.takes_argv());
    let network = spec.network.walls(broker);
    let walls = launch.jail.map(|jail| jail.walls(&jail::Places { program: own, workspace, home, tmp }, &network));
    Ok((
        Start { program, walls, line, environment, workspace: workspace.to_owned(), stdout, stderr, belongings },
        heard,
    ))
}

/// Starts the program, reads it while it runs, and ends everything it started.
pub(super) async fn execute(
    launch: &Launch<'_>,
    command: Command<'_>,
    sink: &Sink,
    given_up: &CancellationToken,
) -> Result<(Ending, Transcript, Tail), AgentError> {
    let spec = launch.spec;
    let (mut transcript, mut complaints) = (Transcript::new(spec.protocol), Tail::default());
    if given_up.is_cancelled() {
        return Ok((Ending::Canceled, transcript, complaints));
    }
    let name = command.line[0].to_string_lossy().into_owned();
    let started = match program::locate(&command.line[0], &spec.path) {
        Ok(program) => {
            let (start, heard) = assemble(launch, program, command)?;
            tokio::select! {
                () = launch.hold.released() => {}
                () = given_up.cancelled() => return Ok((Ending::Canceled, transcript, complaints)),
            }
            process::start(start).await.map(|running| (running, heard))
        }
        Err(error) => Err(error),
    };
    let (running, heard) = match started {
        Ok(started) => started,
        Err(error) if process::agents_own_fault(&error) => {
            sink.line(format!("[worker] cannot start '{name}': {error}{}", hint(launch, &error))).await;
            return Ok((Ending::Missing(name), transcript, complaints));
        }
        Err(source) => {
            return Err(AgentError::Spawn { agent: spec.name.clone(), source });
        }
    };

    let ended = CancellationToken::new();
    let reading = async {
        let lines = Lines::new(transcript.max_line());
        let out = output::read(heard.out, lines, &mut transcript, sink, &ended);
        let Some(pipe) = heard.err else {
            return out.await;
        };
        let err = output::read(pipe, Lines::new(MAX_LINE), &mut complaints, sink, &ended);
        tokio::try_join!(out, err).map(|_| ())
    };
    let ending = async {
        let ending = end(running, launch, sink, given_up).await;
        ended.cancel();
        ending
    };
    let (read, ending) = tokio::join!(reading, ending);
    let ending = ending?;
    read.map_err(|source| AgentError::Processes { operation: "read", source })?;
    Ok((ending, transcript, complaints))
}

/// What may be behind it.
fn hint(launch: &Launch<'_>, error: &std::io::Error) -> &'static str {
    let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
    match launch.jail {
        Some(_) if is_refused => " (it may lie outside of what jobs may read: see DRYDOCK_JAIL_READ)",
        _ => "",
    }
}

/// What it takes of the node, against what it may.
pub(super) fn watched(running: &Running, spec: &AgentSpec, sink: &Sink) -> Watched {
    let (meter, said) = (running.meter(), sink.said.clone());
    Watched { limits: spec.limits.clone(), meter, said, directories: running.belongings().directories }
}

/// Waits for the program's end, its time limit or the order to stop; then for the end of everything it started.
async fn end(
    mut running: Running,
    launch: &Launch<'_>,
    sink: &Sink,
    given_up: &CancellationToken,
) -> Result<Ending, AgentError> {
    let _entered = launch.hold.enter(running.leader(), running.belongings());
    let (limit, began) = (launch.timeout.or(launch.spec.timeout), launch.hold.elapsed());
    let time_is_up = async {
        match limit {
            Some(limit) => launch.hold.reaches(began + limit).await,
            None => std::future::pending().await,
        }
    };
    let silent = async {
        match launch.silence {
            Some(limit) => {
                sink.heard.nothing_for(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    let exceeds = watched(&running, launch.spec, sink).exceeds();
    let ending = tokio::select! {
        biased;
        status = running.wait() => match status {
            Ok(status) => Ending::of(status),
            // Its supervisor was killed: what that leaves is swept before anybody is told.
            Err(error) => {
                running.sweep().await?;
                return Err(error);
            }
        },
        () = launch.cancel.cancelled() => Ending::Canceled,
        () = time_is_up => Ending::TimedOut,
        limit = silent => Ending::Silent(limit),
        excess = exceeds => Ending::OverLimit(excess),
    };
    if matches!(ending, Ending::Canceled | Ending::TimedOut | Ending::Silent(_) | Ending::OverLimit(_)) {
        given_up.cancel();
        let is_to_go_at_once = launch.hold.is_condemned() || matches!(ending, Ending::OverLimit(_));
        let grace = if is_to_go_at_once { Duration::ZERO } else { launch.spec.grace };
        running.stop(grace).await?;
    }
    running.sweep().await?;
    Ok(ending)
}
