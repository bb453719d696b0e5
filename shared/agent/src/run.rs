//! One run of one agent, in order: request, start, output, end, sweep, result.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use drydock_domain::{
    AttemptId,
    agent::{AgentRequest, AgentResult, AgentStatus},
};
use drydock_egress::{Broker, Egress};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    adapter::{self, Outcome},
    ending::Ending,
    environment,
    error::AgentError,
    exchange::Exchange,
    execute::{Command, execute},
    heard::Heard,
    hold::Hold,
    jail::Jail,
    output::{AgentOutput, Sink},
    redact::Redactor,
    spec::{AgentSpec, INSTRUCTION, Variable, WORKSPACE},
    way_out::WayOut,
};

/// How long the rest of the output of a run that was given up may wait for its receiver.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything one run needs.
pub struct Launch<'a> {
    /// The agent.
    pub spec: &'a AgentSpec,
    /// What it is asked; written to `.codex/request.json`.
    pub request: &'a AgentRequest,
    /// Marks all its processes; no two runs share one.
    pub attempt: AttemptId,
    /// The job's own command line, for agents that run it.
    pub argv: Option<&'a [String]>,
    /// Working directory; used by nothing else, unless it is shared.
    pub workspace: &'a Path,
    /// Whether others work in it as well: then what runs there is not taken for this run's.
    pub shared: bool,
    /// What its broker is made with, if its entry wants one.
    pub egress: &'a Egress,
    /// Its walls; none on a developer's machine, and where a fleet does without.
    pub jail: Option<&'a Jail>,
    /// Private home directory, outside the workspace.
    pub home: &'a Path,
    /// Private directory for temporary files, outside the workspace.
    pub tmp: &'a Path,
    /// Time limit from the start of the program; the agent's own when unset.
    pub timeout: Option<Duration>,
    /// Longest time without output.
    pub silence: Option<Duration>,
    /// Stops the run. Prefer it to dropping the future, which kills only the process group.
    pub cancel: CancellationToken,
    /// Freezes the run; the time frozen counts toward no limit.
    pub hold: Hold,
    /// Whether `.codex/result.json` is completed on disk: for whoever reads the folder afterwards.
    pub completes_result: bool,
    /// Receives the output. The agent waits while it is full.
    pub output: mpsc::Sender<AgentOutput>,
}

/// What a run came to.
#[derive(Debug)]
pub struct AgentExit {
    /// How the program ended.
    pub ending: Ending,
    /// What it did; also in `.codex/result.json` where that was asked for. Its file lists are the agent's claims.
    pub result: AgentResult,
    /// The agent's last words, at most 4 KiB.
    pub last_message: Option<String>,
    /// From the start of the program until nothing of it was left.
    pub duration: Duration,
}

/// Runs one agent to its end. When this returns, nothing it started is alive.
///
/// # Errors
/// Only what is our own inability. Everything the agent does wrong is in [`AgentExit`].
pub async fn run(launch: Launch<'_>) -> Result<AgentExit, AgentError> {
    let way_out = WayOut::open(launch.spec, launch.egress)?;
    // Keys that stay outside of the walls as well, since a server may echo them; and what opens the broker.
    let credential = way_out.as_ref().map(|way_out| way_out.broker.placeholder().as_bytes());
    let secrets = launch.spec.variables.iter().filter_map(Variable::bytes).chain(credential);
    let redactor = Redactor::new(secrets)
        .map_err(|error| AgentError::Prepare { what: "redaction", source: io::Error::other(error) })?;
    let abandoned = CancellationToken::new();
    let sink = Sink {
        sender: launch.output.clone(),
        redactor: Arc::new(redactor),
        abandoned,
        heard: Heard::new(&launch.hold),
        said: Arc::default(),
    };
    let given_up = launch.cancel.child_token();
    let last_words = async {
        given_up.cancelled().await;
        tokio::time::sleep(launch.spec.grace + LAST_WORDS).await;
        sink.abandoned.cancel();
        std::future::pending().await
    };
    let carrying_out = async {
        match way_out {
            None => carry_out(&launch, &sink, &given_up, None).await,
            Some(way_out) => {
                let work = async |broker: &Broker| carry_out(&launch, &sink, &given_up, Some(broker)).await;
                way_out.during(&sink, work).await
            }
        }
    };
    tokio::select! {
        exit = carrying_out => exit,
        never = last_words => never,
    }
}

/// The whole run; `given_up` is told when it ends before the agent wanted to.
async fn carry_out(
    launch: &Launch<'_>,
    sink: &Sink,
    given_up: &CancellationToken,
    broker: Option<&Broker>,
) -> Result<AgentExit, AgentError> {
    let spec = launch.spec;
    let prepare = |what| move |source| AgentError::Prepare { what, source };
    let line = command_line(launch, broker).ok_or_else(|| AgentError::NoArgv(spec.name.clone()))?;
    let (exchange, removed) = Exchange::open(launch.workspace).map_err(prepare(".codex"))?;
    exchange.begin(launch.request).map_err(prepare("request.json"))?;
    if let Some(kind) = removed {
        sink.line(format!("[worker] .codex was a {kind}, replaced by a folder")).await;
    }
    let presence = environment::presence(spec);
    sink.lines(&presence.join("\n")).await;

    let started = Instant::now();
    let (ending, transcript, complaints) = execute(launch, Command { line, broker }, sink, given_up).await?;
    let duration = started.elapsed();

    // Opened again: the agent may have put another folder in place of the one above.
    let (exchange, lost) = Exchange::reopen(launch.workspace).map_err(prepare(".codex"))?;
    let outcome = Outcome { agent: &spec.name, ending: &ending, transcript, complaints, read: exchange.read_result() };
    let (mut result, last_message) = adapter::conclude(spec.protocol, outcome, &sink.redactor);
    if lost {
        result.status = AgentStatus::Error;
        result.errors.push("the agent removed its workspace".to_owned());
    }
    let logs = presence.into_iter().chain(result.logs.take());
    result.logs = Some(logs.collect::<Vec<_>>().join("\n"));
    if launch.completes_result {
        exchange.write_result(&result).map_err(AgentError::WriteResult)?;
    }
    Ok(AgentExit { ending, result, last_message, duration })
}

/// The agent's words with what stands for the instruction, the workspace, and each endpoint by the name of its variable.
fn command_line(launch: &Launch<'_>, broker: Option<&Broker>) -> Option<Vec<OsString>> {
    let endpoints: Vec<(String, String)> = broker
        .into_iter()
        .flat_map(|broker| broker.rules().endpoints.iter().map(|endpoint| (endpoint, broker.url(endpoint))))
        .map(|(endpoint, url)| (format!("{{{}}}", endpoint.name()), url))
        .collect();
    let mut values: Vec<(&str, &OsStr)> =
        vec![(INSTRUCTION, OsStr::new(&launch.request.instruction)), (WORKSPACE, launch.workspace.as_os_str())];
    values.extend(endpoints.iter().map(|(name, url)| (name.as_str(), OsStr::new(url))));
    launch.spec.command_line(launch.argv, &values)
}
