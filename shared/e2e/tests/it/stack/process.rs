//! A service as its users run it: the built binary, its settings in the environment.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Process {
    child: Child,
    program: String,
    name: String,
    settings: Vec<(String, String)>,
    logs: PathBuf,
}

impl Process {
    pub(crate) fn spawn(
        program: &str,
        name: &str,
        common: &[(String, String)],
        own: &[(&'static str, String)],
        logs: &Path,
    ) -> Self {
        let mut settings = common.to_vec();
        settings.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let child = launch(program, name, &settings, logs);
        Self { child, program: program.to_owned(), name: name.to_owned(), settings, logs: logs.to_owned() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it as a crash of its host would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Awaits its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        drydock_testing::until(&what, super::PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            async move { ended }
        })
        .await
    }

    /// Starts it again with the same settings.
    pub(crate) fn restart(&mut self) {
        self.child = launch(&self.program, &self.name, &self.settings, &self.logs);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn launch(program: &str, name: &str, settings: &[(String, String)], logs: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(logs.join(format!("{name}.log"))).unwrap();
    Command::new(binary(program))
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A built binary: beside the test's own.
pub(crate) fn binary(program: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(2).expect("tests run from target/<profile>/deps");
    let path = target.join(program);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --workspace --bins` first (`make test` does)",
        path.display()
    );
    path
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
