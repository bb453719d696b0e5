//! One running API with a database and a bucket prefix of its own, and a worker's side of the protocol to move jobs with.

mod answer;
mod stream;
mod table;
mod worker;

use std::{net::SocketAddr, time::Duration};

use clap::Parser as _;
use drydock_api::{ApiConfig, Listeners, Secrets, run};
use drydock_runtime::{Shutdown, exit::Exit, tasks};
use drydock_storage::{Credentials, Storage};
use drydock_testing::TestDatabase;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub(crate) use self::{
    answer::Answer,
    table::{body, column, names, pick, table, told},
    worker::{Content, Worker, tar},
};

/// Longer than anything here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running API.
pub(crate) struct Api {
    pub(crate) database: TestDatabase,
    pub(crate) storage: Storage,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: JoinHandle<Result<(), Exit>>,
    client: reqwest::Client,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments of the program.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_changed(arguments, |_, _| {}).await
    }

    /// With settings `change`d for the API alone: the test itself goes straight to the servers.
    pub(crate) async fn start_changed(arguments: &[&str], change: impl FnOnce(&mut ApiConfig, &mut Secrets)) -> Self {
        let database = drydock_testing::database().await;
        let (mut config, mut secrets) = config(&database, arguments);
        let storage = drydock_testing::storage(&config.storage);
        change(&mut config, &mut secrets);
        let api = TcpListener::bind(config.api_addr).await.unwrap();
        let address = api.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running =
            tasks::spawn("api", run(config, secrets, Listeners { api, admin: None, sessions: None }, shutdown.clone()));
        // The client wants a provider of cryptography even where it speaks plain HTTP; the second test to come is refused one.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let api = Self { database, storage, address, shutdown, running, client };
        drydock_testing::until("the API is ready", PATIENCE, async || {
            let answer = api.client.get(format!("http://{address}/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        api
    }

    /// A request to `path`: below `/api/v1` unless it begins with `//`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = path.strip_prefix("//").map_or_else(|| format!("/api/v1{path}"), |root| format!("/{root}"));
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::GET, path);
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).json(body);
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// What no client library would send: the request line as it is written here.
    pub(crate) async fn raw(&self, request: &str) -> Answer {
        answer::raw(self.address, request).await
    }

    /// A project with its first job: their ids.
    pub(crate) async fn project(&self) -> (String, String) {
        let made = self.post("/projects", &json!({"instruction": "build a thing"})).await.expect(201);
        (made.text("id"), made.text("job_id"))
    }

    /// One more job of the project: its id.
    pub(crate) async fn job(&self, project: &str, body: Value) -> String {
        self.post(&format!("/projects/{project}/jobs"), &body).await.expect(202).text("id")
    }

    /// The service ends within its grace, without an error.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        let ended = tokio::time::timeout(PATIENCE, &mut self.running).await.expect("the API stops");
        ended.unwrap().unwrap();
    }
}

/// Settings and secrets for the test's servers.
pub(crate) fn config(database: &TestDatabase, arguments: &[&str]) -> (ApiConfig, Secrets) {
    let fixed = ["drydock-api", "--api-addr", "127.0.0.1:0", "--s3-bucket", "replaced", "--default-agent", "dummy"];
    let mut config = ApiConfig::try_parse_from(fixed.iter().chain(arguments)).unwrap();
    if !arguments.contains(&"--job-rate") {
        config.job_rate = 0;
    }
    if !arguments.contains(&"--change-rate") {
        config.change_rate = 0;
    }
    if !arguments.contains(&"--bad-key-rate") {
        config.bad_key_rate = 0;
    }
    config.storage = drydock_testing::storage_config();
    config.database.database_pool_size = 8;
    (
        config,
        Secrets {
            database_url: database.api_url(),
            credentials: Credentials::from_env().unwrap(),
            webhook_keys: Some(webhook_keys()),
        },
    )
}

/// Keys of tests.
pub(crate) fn webhook_keys() -> drydock_webhook::Vault {
    drydock_webhook::Vault::from_text("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap()
}
