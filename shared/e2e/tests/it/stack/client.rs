//! A user of the API: requests go to the replicas in turn, so that each test also tests "any replica".

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::PATIENCE;

pub(crate) struct Client {
    bases: Vec<String>,
    turn: AtomicUsize,
}

pub(crate) fn http() -> &'static reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    HTTP.get_or_init(|| {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().unwrap()
    })
}

impl Client {
    pub(crate) fn new(bases: Vec<String>) -> Self {
        Self { bases, turn: AtomicUsize::new(0) }
    }

    pub(crate) fn bases(&self) -> &[String] {
        &self.bases
    }

    /// The next replica's address.
    pub(crate) fn base(&self) -> &str {
        &self.bases[self.turn.fetch_add(1, Ordering::Relaxed) % self.bases.len()]
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}/api/v1{path}", self.base()));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }

    pub(crate) async fn bytes(&self, path: &str) -> Vec<u8> {
        let answer = http().get(format!("{}/api/v1{path}", self.base())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "GET {path}");
        answer.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path).await).unwrap()
    }

    /// Makes a project and awaits its initial job.
    pub(crate) async fn project(&self, body: Value) -> Value {
        let (status, project) = self.send(Method::POST, "/projects?wait=60s", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{project}");
        project
    }

    /// Submits a job.
    pub(crate) async fn submit(&self, project: &str, body: Value) -> String {
        let (status, job) = self.send(Method::POST, &format!("/projects/{project}/jobs"), Some(body)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        id(&job)
    }

    /// Awaits a job's end.
    pub(crate) async fn ended(&self, job: &str) -> Value {
        drydock_testing::until(&format!("job {job} ends"), PATIENCE, || async {
            let job = self.get(&format!("/jobs/{job}?wait=5s")).await;
            matches!(job["status"].as_str(), Some("completed" | "error" | "cancelled")).then_some(job)
        })
        .await
    }

    /// Submits a job and awaits its end.
    pub(crate) async fn run(&self, project: &str, body: Value) -> Value {
        let job = self.submit(project, body).await;
        self.ended(&job).await
    }

    /// Awaits that a worker has taken a job. Stays true, unlike a `status_detail` that may pass between two looks.
    pub(crate) async fn is_taken(&self, job: &str) {
        drydock_testing::until(&format!("job {job} is taken"), PATIENCE, || async {
            let shown = self.get(&format!("/jobs/{job}")).await;
            shown["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty()).then_some(())
        })
        .await;
    }

    /// Awaits that a job's `status_detail` is as given, and stays so long enough to be seen.
    pub(crate) async fn reaches(&self, job: &str, detail: &str) {
        drydock_testing::until(&format!("job {job} is {detail}"), PATIENCE, || async {
            (self.get(&format!("/jobs/{job}")).await["status_detail"] == detail).then_some(())
        })
        .await;
    }

    pub(crate) async fn log(&self, project: &str, job: &str) -> String {
        String::from_utf8_lossy(&self.bytes(&format!("/projects/{project}/jobs/{job}/logs")).await).into_owned()
    }
}

pub(crate) fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("a resource has an id").to_owned()
}

/// A `command` job running a shell script.
pub(crate) fn shell(script: &str) -> Value {
    json!({"job_type": "command", "argv": ["sh", "-c", script]})
}
