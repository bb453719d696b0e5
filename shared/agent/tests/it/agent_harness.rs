//! Runs one agent in a fresh scratch directory and keeps all it said.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_agent::{self as agent, AgentError, AgentExit, AgentOutput, Agents, AgentsConfig, Hold, Jail, Launch};
use drydock_domain::{AttemptId, Isolation, JobId, JobType, ProjectId, agent::AgentRequest};
use drydock_egress::Egress;
use fs_err as fs;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Grace between SIGTERM and SIGKILL in these tests.
pub(crate) const GRACE: Duration = Duration::from_millis(1500);

/// A scratch directory with what an attempt has.
pub(crate) struct Scratch {
    pub(crate) root: TempDir,
    pub(crate) request: AgentRequest,
    pub(crate) timeout: Option<Duration>,
    pub(crate) silence: Option<Duration>,
    pub(crate) cancel: CancellationToken,
    pub(crate) hold: Hold,
    pub(crate) jail: Option<Jail>,
    pub(crate) egress: Egress,
}

/// How a run ended and what was said meanwhile.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: AgentExit,
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) progress: Vec<String>,
}

impl Ran {
    pub(crate) fn text(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    pub(crate) fn said(&self, line: &str) -> bool {
        self.lines.iter().any(|said| said == line.as_bytes())
    }
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        for name in ["workspace", "home", "tmp"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let request = AgentRequest {
            project_id: ProjectId::generate(),
            job_id: JobId::generate(),
            attempt: 1,
            job_type: JobType::Edit,
            instruction: "do something".to_owned(),
            workspace_path: root.path().join("workspace").display().to_string(),
            labels: Default::default(),
        };
        let (cancel, hold) = (CancellationToken::new(), Hold::default());
        Self { root, request, timeout: None, silence: None, cancel, hold, jail: jail(), egress: Egress::default() }
    }

    /// One whose agents have no walls, for what these would prevent.
    pub(crate) fn open() -> Self {
        Self { jail: None, ..Self::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.root.path().join("workspace")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.workspace().join(name)
    }

    pub(crate) fn result(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.file(".codex/result.json")).unwrap()).unwrap()
    }

    /// Runs the agent and keeps its output.
    pub(crate) async fn run(&self, agents: &Agents, name: &str, argv: Option<&[String]>) -> Ran {
        let (sender, mut receiver) = mpsc::channel(64);
        let collect = async {
            let (mut lines, mut progress) = (Vec::new(), Vec::new());
            while let Some(output) = receiver.recv().await {
                match output {
                    AgentOutput::Line(line) => lines.push(line.to_vec()),
                    AgentOutput::Progress(text) => progress.push(text),
                }
            }
            (lines, progress)
        };
        let (exit, (lines, progress)) = tokio::join!(self.launch(agents, name, argv, sender), collect);
        Ran { exit: exit.unwrap(), lines, progress }
    }

    /// Runs the agent with another receiver of its output.
    pub(crate) async fn launch(
        &self,
        agents: &Agents,
        name: &str,
        argv: Option<&[String]>,
        output: mpsc::Sender<AgentOutput>,
    ) -> Result<AgentExit, AgentError> {
        let spec = agents.get(name).unwrap_or_else(|| panic!("no agent {name}: {:?}", agents.unavailable()));
        let launch = Launch {
            spec,
            request: &self.request,
            attempt: AttemptId::generate(),
            argv,
            workspace: &self.workspace(),
            shared: false,
            home: &self.root.path().join("home"),
            tmp: &self.root.path().join("tmp"),
            egress: &self.egress,
            jail: self.jail.as_ref(),
            timeout: self.timeout,
            silence: self.silence,
            cancel: self.cancel.clone(),
            hold: self.hold.clone(),
            completes_result: true,
            output,
        };
        agent::run(launch).await
    }
}

/// The walls that these tests are run with: `DRYDOCK_TEST_ISOLATION`, `none` where that is not set. Interpreters that are installed beside the
/// system's own may be read.
pub(crate) fn jail() -> Option<Jail> {
    let level: Isolation = drydock_testing::setting_or("DRYDOCK_TEST_ISOLATION", "none").parse().unwrap();
    (level != Isolation::None).then(|| jail_at(level))
}

/// The walls of a level.
pub(crate) fn jail_at(level: Isolation) -> Jail {
    Jail {
        helper: Path::new(env!("CARGO_BIN_EXE_drydock-agent-dummy")).with_file_name("drydock-jail"),
        level,
        read: drydock_testing::toolchains().into_iter().chain(codex_packages()).collect(),
        open_network: false,
        open_files: None,
        processes: None,
        file_bytes: None,
    }
}

/// Codex's program is a link into the packages that npm keeps beside it.
fn codex_packages() -> Option<PathBuf> {
    let program =
        drydock_testing::setting_or("DRYDOCK_TEST_CODEX_BIN", &drydock_testing::setting_or("DRYDOCK_CODEX_BIN", ""));
    Path::new(&program).ancestors().nth(2).filter(|packages| packages.is_absolute()).map(Path::to_owned)
}

/// Settings with a short grace.
pub(crate) fn config() -> AgentsConfig {
    AgentsConfig { grace: GRACE, ..AgentsConfig::default() }
}

/// The built-in agents, no variables set.
pub(crate) fn built_in() -> Agents {
    Agents::load_with(&config(), &|_| None).unwrap()
}

/// One agent `sh` that runs this script, with these variables passed by name.
pub(crate) fn shell(protocol: &str, script: &str, variables: &'static [(&str, &str)]) -> Agents {
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let text = format!(
        "[[agent]]\nname = 'sh'\nargv = ['/bin/sh', '-c', {script:?}]\nprotocol = '{protocol}'\nenv = {names:?}\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let value = |name: &str| variables.iter().find(|(found, _)| *found == name).map(|(_, value)| OsString::from(value));
    Agents::load_with(&AgentsConfig { file: Some(file.path().to_owned()), ..config() }, &value).unwrap()
}

/// Runs a script under the exit protocol in a fresh scratch directory.
pub(crate) async fn run_shell(script: &str) -> (Scratch, Ran) {
    run_shell_in(Scratch::new(), script).await
}

/// The same in this one.
pub(crate) async fn run_shell_in(scratch: Scratch, script: &str) -> (Scratch, Ran) {
    let ran = scratch.run(&shell("exit", script, &[]), "sh", None).await;
    (scratch, ran)
}

/// Whether a process lives.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ") && !stat.contains(") X ")
}
