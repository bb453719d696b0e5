//! The three servers of a run: where they are, and what an operator, or an accident, can do to them. `deploy/local` starts them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// How long a script may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// What RabbitMQ may use when no alarm is wanted; as deploy/local sets it.
const MEMORY: &str = "512MiB";

/// The private servers of one state directory.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    state: PathBuf,
    scripts: PathBuf,
    /// The settings of `STATE/env`.
    settings: Vec<(String, String)>,
}

impl Servers {
    /// The servers that `scripts`/up.sh --servers-only started in `state`.
    ///
    /// # Errors
    /// They were not started.
    pub(crate) fn find(state: &Path, scripts: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(state.join("env")).context("start the servers first: make chaos does")?;
        let settings = text.lines().filter_map(|line| line.split_once('='));
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let absolute = |path: &Path| std::path::absolute(path).context("the current directory is gone");
        Ok(Self { state: absolute(state)?, scripts: absolute(scripts)?, settings })
    }

    /// A setting of the environment file.
    ///
    /// # Errors
    /// It has no such setting.
    pub(crate) fn setting(&self, name: &str) -> Result<&str> {
        let found = self.settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("{name} is not in {}/env", self.state.display()))
    }

    /// URL of a database as the superuser.
    ///
    /// # Errors
    /// The state directory is not whole.
    pub(crate) fn database_url(&self, database: &str) -> Result<String> {
        let remembered = |name: &str| fs_err::read_to_string(self.state.join("settings").join(name));
        let (password, port) = (remembered("postgres_password")?, remembered("postgres_port")?);
        Ok(format!("postgres://postgres:{}@127.0.0.1:{}/{database}", password.trim(), port.trim()))
    }

    /// Ends PostgreSQL as `pg_ctl stop -m immediate` does: no checkpoint, no good-bye.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn crash_postgres(&self) -> Result<()> {
        let pid = fs_err::read_to_string(self.state.join("run/postgres.pid"))?;
        let pid = Pid::from_raw(pid.trim().parse()?).context("a server's pid is not 0")?;
        kill_process(pid, Signal::QUIT).context("end PostgreSQL")
    }

    /// Starts what does not run.
    ///
    /// # Errors
    /// A server does not come up.
    pub(crate) async fn start(&self) -> Result<()> {
        self.script("up.sh", &["--servers-only"]).await
    }

    /// Stops RabbitMQ's application, leaving its node.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) async fn stop_rabbitmq(&self) -> Result<()> {
        self.script("rabbitmqctl.sh", &["stop_app"]).await
    }

    /// Starts it again.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) async fn start_rabbitmq(&self) -> Result<()> {
        self.script("rabbitmqctl.sh", &["start_app"]).await
    }

    /// Raises the memory alarm, or takes it back.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) async fn memory_alarm(&self, on: bool) -> Result<()> {
        let watermark: &[&str] = if on { &["0"] } else { &["absolute", MEMORY] };
        self.script("rabbitmqctl.sh", &[&["set_vm_memory_high_watermark"], watermark].concat()).await
    }

    /// Deletes a queue with the tickets in it.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) async fn delete_queue(&self, queue: &str) -> Result<()> {
        self.script("rabbitmqctl.sh", &["delete_queue", queue]).await
    }

    async fn script(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.scripts.join(name));
        command.args(arguments).env("DRYDOCK_STATE", &self.state).env("DRYDOCK_FAST_DISKS", "1");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.with_context(|| format!("{name} {arguments:?} takes more than {PATIENCE:?}"))??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} {arguments:?}: {}: {}", output.status, said.trim());
        Ok(())
    }
}
