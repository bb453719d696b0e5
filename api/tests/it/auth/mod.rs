//! Who is let in, to what, and until when.

mod audit;
mod capacity;
mod escalation;
mod forged;
mod guessing;
mod issuer;
mod issuers;
mod life;
mod matrix;
mod open;
mod pages;
mod people;
mod quotas;
mod secrets;
mod tokens;
mod usage;

use std::net::SocketAddr;

use drydock_api::{ApiConfig, Listeners, run};
use drydock_runtime::{Shutdown, exit::Exit, tasks};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::harness::{Answer, Api, config};

/// Another replica on the same database.
pub(crate) struct Replica {
    address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Exit>>,
    client: reqwest::Client,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

impl Replica {
    pub(crate) async fn beside(api: &Api, arguments: &[&str], change: impl FnOnce(&mut ApiConfig)) -> Self {
        let (mut config, secrets) = config(&api.database, arguments);
        change(&mut config);
        let listener = TcpListener::bind(config.api_addr).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = Shutdown::new();
        let listeners = Listeners { api: listener, admin: None, sessions: None };
        let running = tasks::spawn("replica", run(config, secrets, listeners, shutdown.clone()));
        Self { address: ([127, 0, 0, 1], port).into(), shutdown, running, client: reqwest::Client::new() }
    }

    pub(crate) async fn ready(&self) {
        drydock_testing::until("the replica is ready", crate::harness::PATIENCE, async || {
            let answer = self.client.get(format!("http://{}/readyz", self.address)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}/api/v1{path}", self.address))
    }
}

impl Api {
    /// A request with a key.
    async fn with(&self, key: &str, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        Answer::of(if body.is_null() { request } else { request.json(body) }).await
    }

    async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.with(key, Method::GET, path, &Value::Null).await
    }

    async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.with(key, Method::POST, path, body).await
    }

    /// The first key, made while everybody may.
    async fn first_key(&self) -> Made {
        Made::of(&self.post("/keys", &json!({"name": "first", "role": "admin"})).await.expect(201).json())
    }

    /// One more key of `maker`'s tenant.
    async fn key(&self, maker: &str, body: &Value) -> Made {
        Made::of(&self.post_as(maker, "/keys", body).await.expect(201).json())
    }

    async fn key_of_role(&self, maker: &str, role: &str) -> String {
        self.key(maker, &json!({"name": role, "role": role})).await.key
    }

    /// An owner's key of a tenant of its own.
    async fn tenant(&self, admin: &str, name: &str) -> Made {
        let made = self.post_as(admin, "/tenants", &json!({"name": name})).await.expect(201).json();
        Made::of(&made["first_key"])
    }
}

/// A key as it was shown once.
struct Made {
    id: String,
    key: String,
}

impl Made {
    fn of(view: &Value) -> Self {
        let text = |name: &str| view[name].as_str().unwrap_or_else(|| panic!("no {name} in {view}")).to_owned();
        Self { id: text("id"), key: text("key") }
    }
}

/// A refusal's error word and detail.
fn told(answer: &Answer) -> (String, String) {
    (answer.text("error"), answer.text("detail"))
}
