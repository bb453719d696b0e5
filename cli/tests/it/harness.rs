//! One running API with a database and a bucket prefix of its own, and the command that asks it.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use clap::Parser as _;
use drydock_api::{ApiConfig, Listeners, Secrets, run};
use drydock_runtime::{Shutdown, exit::Exit, tasks};
use drydock_storage::{Credentials, StorageConfig};
use drydock_testing::TestDatabase;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    task::JoinHandle,
};

/// Longer than anything here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running API.
pub(crate) struct Api {
    pub(crate) database: TestDatabase,
    pub(crate) address: SocketAddr,
    storage: StorageConfig,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Exit>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        let database = drydock_testing::database().await;
        let storage = drydock_testing::storage_config();
        let (address, shutdown, running) = serve(&database, &storage, "127.0.0.1:0").await;
        Self { database, address, storage, shutdown, running }
    }

    /// Where its objects are.
    pub(crate) const fn storage(&self) -> &StorageConfig {
        &self.storage
    }

    /// Stops serving, as a service does.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(PATIENCE, &mut self.running).await.expect("the API stops");
        ended.unwrap().unwrap();
    }

    /// Serves again at the same address.
    pub(crate) async fn start_again(&mut self) {
        let address = self.address.to_string();
        (self.address, self.shutdown, self.running) = serve(&self.database, &self.storage, &address).await;
    }

    /// The command with this line, words separated by blanks.
    pub(crate) fn drydock(&self, line: &str) -> Drydock {
        self.drydock_with(&line.split(' ').collect::<Vec<_>>())
    }

    /// The command with these words.
    pub(crate) fn drydock_with(&self, words: &[&str]) -> Drydock {
        Drydock::new(words).env("DRYDOCK_API_URL", &format!("http://{}", self.address))
    }

    /// What a GET answers, byte for byte.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.get_as(path, "*/*").await
    }

    /// The same in a form that is asked for.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> String {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let request =
            reqwest::Client::new().get(format!("http://{}/api/v1{path}", self.address)).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.text().await.unwrap()
    }

    /// A project with its first job: their ids.
    pub(crate) async fn project(&self) -> (String, String) {
        let made = self.drydock_with(&["--json", "project", "create", "build a thing"]).ok().await.json();
        (made["id"].as_str().unwrap().to_owned(), made["job_id"].as_str().unwrap().to_owned())
    }
}

async fn serve(
    database: &TestDatabase,
    storage: &StorageConfig,
    address: &str,
) -> (SocketAddr, Shutdown, JoinHandle<Result<(), Exit>>) {
    let fixed = [
        "drydock-api",
        "--s3-bucket",
        "replaced",
        "--default-agent",
        "dummy",
        "--job-rate",
        "0",
        "--change-rate",
        "0",
        "--api-addr",
        address,
    ];
    let mut config = ApiConfig::try_parse_from(fixed).unwrap();
    config.storage = storage.clone();
    config.database.database_pool_size = 8;
    let keys = drydock_webhook::Vault::from_text("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let secrets = Secrets {
        database_url: database.api_url(),
        credentials: Credentials::from_env().unwrap(),
        webhook_keys: Some(keys),
    };
    let api = TcpListener::bind(config.api_addr).await.unwrap();
    let address = api.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let running =
        tasks::spawn("api", run(config, secrets, Listeners { api, admin: None, sessions: None }, shutdown.clone()));
    (address, shutdown, running)
}

/// The command about to run, with nothing of the test's environment.
pub(crate) struct Drydock(Command);

impl Drydock {
    pub(crate) fn new(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drydock"));
        command
            .args(words)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Child {
        self.0.spawn().unwrap()
    }

    /// Runs it to its end.
    pub(crate) async fn end(self) -> Ended {
        Ended::of(self.start()).await
    }

    /// Runs it to its good end.
    pub(crate) async fn ok(self) -> Ended {
        self.end().await.exit(0)
    }
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) async fn of(child: Child) -> Self {
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("the command ends").unwrap();
        Self { code: output.status.code(), out: output.stdout, err: String::from_utf8(output.stderr).unwrap() }
    }

    pub(crate) fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.text(), self.err);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// The one line there is.
    pub(crate) fn line(&self) -> String {
        let text = self.text();
        let line = text.strip_suffix('\n').expect("a line");
        assert!(!line.contains('\n'), "{text}");
        line.to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|_| panic!("no JSON: {}\n{}", self.text(), self.err))
    }

    /// Standard error has a line with these words.
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "'{words}' is not in: {}", self.err);
        self
    }
}
