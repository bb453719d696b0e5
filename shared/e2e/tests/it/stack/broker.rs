//! A RabbitMQ of one test's own, for what would hurt the others: alarms, policies.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use drydock_queue::{Broker, QueueConfig, QueueMetrics};
use uuid::Uuid;

/// A private RabbitMQ; it ends and its files go when this is dropped, or with `make clean` where the test was killed.
pub(crate) struct PrivateBroker {
    state: PathBuf,
    url: String,
}

impl PrivateBroker {
    /// Starts one; it takes about ten seconds.
    pub(crate) async fn start() -> Self {
        let state = root().join(format!(".local/broker-{}", Uuid::now_v7().simple()));
        let mut broker = Self { state, url: String::new() };
        broker.url = broker.script("rabbitmq.sh", &[]).await.trim().to_owned();
        broker
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A way to it for the test itself.
    pub(crate) fn client(&self) -> Broker {
        let metrics = QueueMetrics::register(&prometheus::Registry::new()).unwrap();
        Broker::new(&QueueConfig::default(), &self.url.clone().into(), metrics).unwrap()
    }

    /// What `rabbitmqctl` says.
    pub(crate) async fn control(&self, arguments: &[&str]) -> String {
        self.script("rabbitmqctl.sh", arguments).await
    }

    async fn script(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = script(name, &self.state);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        let _already_gone = script("clean.sh", &self.state).stderr(Stdio::null()).status();
    }
}

fn script(name: &str, state: &Path) -> Command {
    let mut command = Command::new(root().join("deploy/local").join(name));
    command.env_clear().env("PATH", drydock_testing::setting("PATH")).env("DRYDOCK_STATE", state);
    command.stdin(Stdio::null());
    command
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this package is two folders down").to_owned()
}
