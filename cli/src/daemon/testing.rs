//! A project that is served as far as a daemon asks for it: for what the real API does not do on demand.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read as _,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        Path, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use drydock_client::Client;
use drydock_domain::{
    ProjectId,
    daemon::{DaemonJob, FromDaemon, TOKEN_HEADER, ToDaemon, WORKSPACE_HEADER},
};
use drydock_runtime::tasks;
use serde_json::json;
use tar::EntryType;

use super::{events::Events, sync::Folder};

/// A file's content; `None` is a directory.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

type Act = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(crate) struct Fleet {
    versions: Vec<Tree>,
    /// Answers nothing but 503.
    pub(crate) is_away: bool,
    /// Put into a version of its own when the next change arrives, before it.
    pub(crate) meanwhile: Option<(String, String)>,
    /// Changes that hold this path are refused, with this status and detail.
    pub(crate) refuses: Option<(&'static str, u16, &'static str)>,
    /// Reading this path fails.
    pub(crate) broken: Option<&'static str>,
    /// When this path is read, this is done first.
    pub(crate) on_read: Option<(&'static str, Act)>,
    /// Changes that arrived, refused ones too.
    pub(crate) asked: usize,
    /// Names of tokens that were made.
    pub(crate) tokens: Vec<String>,
    /// Sent to the next daemon that connects.
    pub(crate) jobs: Vec<DaemonJob>,
    /// What daemons said, but for heartbeats.
    pub(crate) told: Vec<FromDaemon>,
}

#[derive(Clone)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) client: Client,
    fleet: Arc<Mutex<Fleet>>,
}

impl Project {
    /// A project with these files as version 1; without any, version 0.
    pub(crate) async fn serve(files: &[(&str, &str)]) -> Self {
        let fleet = Arc::new(Mutex::new(Fleet::default()));
        let router = Router::new()
            .route("/api/v1/projects/{id}", get(show))
            .route("/api/v1/projects/{id}/files", get(list).patch(change))
            .route("/api/v1/projects/{id}/files/{*path}", get(read))
            .route("/api/v1/workspaces/ws", any(connect))
            .route("/api/v1/workspaces/{id}/tokens", post(token))
            .with_state(Arc::clone(&fleet));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        tasks::spawn("fleet", async move { axum::serve(listener, router).await });
        let client = client.with_patience(std::time::Duration::ZERO);
        let project = Self { id: ProjectId::generate(), client, fleet };
        if !files.is_empty() {
            let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
            project.by_others(&files);
        }
        project
    }

    pub(crate) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap()
    }

    /// Somebody else's version: files put, and removed.
    pub(crate) fn by_others(&self, files: &[(&str, Option<&str>)]) {
        let mut fleet = self.fleet();
        let mut tree = fleet.head();
        for (path, text) in files {
            match text {
                Some(text) => put(&mut tree, path, text.as_bytes().to_vec()),
                None => drop(tree.remove(*path)),
            }
        }
        fleet.versions.push(tree);
    }

    /// The newest version's files.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        self.fleet().head().into_iter().filter_map(|(path, bytes)| Some((path, text(bytes?)))).collect()
    }

    pub(crate) fn version(&self) -> usize {
        self.fleet().versions.len()
    }

    pub(crate) fn folder(&self, root: &std::path::Path, index: &std::path::Path) -> Folder {
        let root = fs_err::canonicalize(root).unwrap();
        let events = Arc::new(Events::new(Arc::default()));
        Folder::open(root, self.id.to_string(), self.client.clone(), index.to_owned(), events).unwrap()
    }
}

impl Fleet {
    /// As an older backup has it.
    pub(crate) fn goes_back(&mut self, version: usize) {
        self.versions.truncate(version);
    }

    fn head(&self) -> Tree {
        self.versions.last().cloned().unwrap_or_default()
    }
}

fn put(tree: &mut Tree, path: &str, bytes: Vec<u8>) {
    for (at, _) in path.match_indices('/') {
        tree.insert(path[..at].to_owned(), None);
    }
    tree.insert(path.to_owned(), Some(bytes));
}

type Shared = State<Arc<Mutex<Fleet>>>;

fn away() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "away", "message": "Away", "code": 503}))).into_response()
}

fn unauthorized() -> Response {
    let body = json!({"error": "unauthorized", "message": "Unauthorized", "detail": "Invalid token", "code": 401});
    (StatusCode::UNAUTHORIZED, [("x-request-id", "r")], Json(body)).into_response()
}

async fn token(State(fleet): Shared, Json(body): Json<serde_json::Value>) -> Response {
    fleet.lock().unwrap().tokens.push(body["name"].as_str().unwrap().to_owned());
    (StatusCode::CREATED, Json(json!({"id": uuid::Uuid::nil(), "token": "good", "name": body["name"]}))).into_response()
}

async fn show(State(fleet): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let fleet = fleet.lock().unwrap();
    if headers.get("authorization").is_some_and(|key| key != "Bearer good") {
        return unauthorized();
    }
    if fleet.is_away {
        return away();
    }
    let at = "2025-11-21T05:20:11Z";
    let project = json!({"id": id, "instruction": "x", "status": "completed", "agent": "dummy", "pool": "default",
        "head_version": fleet.versions.len(), "created_at": at, "updated_at": at});
    Json(project).into_response()
}

async fn list(State(fleet): Shared) -> Response {
    let fleet = fleet.lock().unwrap();
    if fleet.is_away {
        return away();
    }
    let entry = |(path, bytes): (String, Option<Vec<u8>>)| match bytes {
        Some(bytes) => json!({"path": path, "kind": "file", "size": bytes.len(), "mode": "644",
            "blake3": blake3::hash(&bytes).to_hex().as_str()}),
        None => json!({"path": path, "kind": "dir", "size": 0, "mode": "755", "blake3": null}),
    };
    let files: Vec<_> = fleet.head().into_iter().map(entry).collect();
    Json(json!({"version": fleet.versions.len(), "files": files})).into_response()
}

async fn read(
    State(fleet): Shared,
    Path((_, path)): Path<(String, String)>,
    Query(query): Query<HashMap<String, usize>>,
) -> Response {
    let mut fleet = fleet.lock().unwrap();
    if let Some((_, act)) = fleet.on_read.take_if(|(on, _)| *on == path) {
        act();
    }
    let tree = &fleet.versions[query["version"] - 1];
    match tree.get(&path).cloned().flatten() {
        Some(bytes) if !fleet.is_away && fleet.broken != Some(path.as_str()) => bytes.into_response(),
        _ => away(),
    }
}

async fn change(
    State(fleet): Shared,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    assert_eq!(query["while_running"], "true");
    let mut fleet = fleet.lock().unwrap();
    fleet.asked += 1;
    if fleet.is_away {
        return away();
    }
    if let Some((path, text)) = fleet.meanwhile.take() {
        let mut tree = fleet.head();
        put(&mut tree, &path, text.into_bytes());
        fleet.versions.push(tree);
    }
    let head = fleet.versions.len();
    if headers["if-match"] != format!("\"{head}\"").as_str() {
        let moved = json!({"error": "precondition_failed", "message": "Moved", "code": 412});
        return (StatusCode::PRECONDITION_FAILED, Json(moved)).into_response();
    }
    let mut tree = fleet.head();
    let mut archive = tar::Archive::new(&body[..]);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let removes = entry.pax_extensions().unwrap().is_some();
        let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
        if let Some((_, status, detail)) = fleet.refuses.filter(|(refused, ..)| *refused == path) {
            let body = json!({"error": "refused", "message": "Refused", "detail": detail, "code": status});
            return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
        }
        if removes {
            let below = format!("{path}/");
            tree.retain(|known, _| *known != path && !known.starts_with(&below));
        } else if entry.header().entry_type() == EntryType::Directory {
            tree.insert(path, None);
        } else {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            put(&mut tree, &path, bytes);
        }
    }
    fleet.versions.push(tree);
    let change = json!({"version": head + 1, "parent": head, "created": 0, "modified": 0, "deleted": 0});
    (StatusCode::CREATED, Json(change)).into_response()
}

async fn connect(State(fleet): Shared, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    assert!(headers.contains_key(WORKSPACE_HEADER));
    if headers[TOKEN_HEADER] != "good" {
        return unauthorized();
    }
    upgrade.on_upgrade(move |socket| speak(fleet, socket))
}

async fn speak(fleet: Arc<Mutex<Fleet>>, mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let said: FromDaemon = serde_json::from_str(&text).unwrap();
        let answers = match &said {
            FromDaemon::Hello { .. } => {
                let fleet = fleet.lock().unwrap();
                let head = i32::try_from(fleet.versions.len()).unwrap();
                let welcome = ToDaemon::Welcome { connection: uuid::Uuid::now_v7(), head };
                let jobs = fleet.jobs.iter().map(|job| ToDaemon::Job(Box::new(job.clone())));
                [welcome].into_iter().chain(jobs).collect()
            }
            FromDaemon::Log { attempt, seq, .. } => vec![ToDaemon::Logged { attempt: *attempt, seq: *seq }],
            FromDaemon::Command { id, .. } => vec![ToDaemon::Noted { id: *id }],
            FromDaemon::Result { attempt, .. } => vec![ToDaemon::Done { attempt: *attempt }],
            FromDaemon::Heartbeat { .. } | FromDaemon::Bye => Vec::new(),
        };
        if !matches!(said, FromDaemon::Heartbeat { .. }) {
            fleet.lock().unwrap().told.push(said);
        }
        for answer in answers {
            let text = serde_json::to_string(&answer).unwrap();
            socket.send(Message::Text(text.into())).await.unwrap();
        }
    }
}
