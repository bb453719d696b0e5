//! A service as its users run it: the built binary, its settings in the environment. For tests and the chaos run.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a signalled process may take to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A started service; killed when dropped.
pub struct Process {
    child: Child,
    program: String,
    arguments: Vec<String>,
    name: String,
    settings: Vec<(String, String)>,
    logs: PathBuf,
}

impl Process {
    /// Starts `program` with `common` and its `own` settings as its whole environment, writing to `logs`/`name`.log.
    pub fn spawn(
        program: &str,
        name: &str,
        common: &[(String, String)],
        own: &[(&'static str, String)],
        logs: &Path,
    ) -> Self {
        let mut settings = common.to_vec();
        settings.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Self::spawn_with(program, name, Vec::new(), settings, logs)
    }

    /// Starts `program` with these arguments, and these settings as its whole environment.
    pub fn spawn_with(
        program: &str,
        name: &str,
        arguments: Vec<String>,
        settings: Vec<(String, String)>,
        logs: &Path,
    ) -> Self {
        let child = launch(program, name, &arguments, &settings, logs);
        let (program, name, logs) = (program.to_owned(), name.to_owned(), logs.to_owned());
        Self { child, program, arguments, name, settings, logs }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`, unless it has ended and nobody has asked yet.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child's id is not 0");
        kill_process(pid, signal).expect("an unreaped child of ours can be signalled");
    }

    /// Kills it as a crash of its host would.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child of ours can be killed");
        self.child.wait().expect("a child of ours can be waited for");
    }

    /// Its end, where it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours can be waited for")
    }

    /// Awaits its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        drydock_testing::until(&what, PATIENCE, || {
            let ended = self.has_ended();
            async move { ended }
        })
        .await
    }

    /// Starts it again with the same settings.
    pub fn restart(&mut self) {
        self.child = launch(&self.program, &self.name, &self.arguments, &self.settings, &self.logs);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn launch(program: &str, name: &str, arguments: &[String], settings: &[(String, String)], logs: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(logs.join(format!("{name}.log")));
    let log = log.expect("the log can be written");
    Command::new(binary(program))
        .args(arguments)
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor is free"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A built binary: beside this program, or beside the folder of the tests' programs.
pub fn binary(program: &str) -> PathBuf {
    let own = std::env::current_exe().expect("/proc is mounted");
    let found = own.ancestors().skip(1).take(2).map(|target| target.join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!("{program} is not built: run `cargo build --workspace --bins` first (`make test` does)")
    })
}

/// A port that was free a moment ago, and not one that an outgoing connection may take meanwhile.
pub fn free_port() -> u16 {
    drydock_testing::free_port()
}
