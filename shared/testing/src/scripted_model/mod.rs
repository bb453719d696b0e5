//! A model server on loopback that follows a script: as much of the streaming Responses API as the real Codex CLI needs.
//!
//! It stands in for the model only; the agent that talks to it is the real program. It keeps every request it got, so that a
//! test can check what was sent. Each conversation starts at the script's beginning: the step is counted from the request.

mod script;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

pub use script::{Rule, Script};

/// Names a tool that runs commands has had in Codex, newest first.
const TOOLS: [&str; 3] = ["exec_command", "shell_command", "shell"];

/// One request as it came.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// `POST`, mostly.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, values lossy.
    pub headers: Vec<(String, String)>,
    /// The body, lossy.
    pub body: String,
}

impl RecordedRequest {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
}

/// A running server; stopped when dropped.
pub struct ScriptedModel {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    task: JoinHandle<io::Result<()>>,
}

impl ScriptedModel {
    /// Serves these shell commands, one after the other, then a last message, on a free port of loopback.
    ///
    /// # Errors
    /// The port cannot be had.
    pub async fn start(commands: Vec<String>) -> io::Result<Self> {
        Self::serve("127.0.0.1:0", Script::commands(commands)).await
    }

    /// Serves a script at `address`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn serve(address: &str, script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Shared { script: Arc::new(script), requests: Arc::default() };
        let requests = Arc::clone(&shared.requests);
        let router = Router::new().fallback(answer).with_state(shared);
        let task = drydock_runtime::tasks::spawn("scripted-model", async move { axum::serve(listener, router).await });
        Ok(Self { address, requests, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an agent is configured with.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until the server fails.
    ///
    /// # Errors
    /// As the server says.
    pub async fn wait(mut self) -> io::Result<()> {
        (&mut self.task).await.unwrap_or_else(|error| Err(error.into()))
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let lossy = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let request = RecordedRequest {
        method: method.to_string(),
        path: uri.to_string(),
        headers: headers.iter().map(|(name, value)| (name.to_string(), lossy(value.as_bytes()))).collect(),
        body: lossy(&body),
    };
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if method != Method::POST || !uri.path().ends_with("/responses") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match serde_json::from_slice(&body) {
        Ok(request) => ([(CONTENT_TYPE, "text/event-stream")], events(&next(&shared.script, &request))).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// The script's next item: a call of the shell tool, or the last message.
fn next(script: &Script, request: &Value) -> Value {
    let conversation = script::Conversation::of(request);
    let step = conversation.step;
    let (commands, last_words) = script.play(&conversation.instruction);
    let Some(command) = commands.get(step) else {
        let content = json!([{"type": "output_text", "text": last_words}]);
        return json!({"type": "message", "role": "assistant", "id": format!("msg_{step}"), "content": content});
    };
    let offered: Vec<&str> =
        request["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    let tool = TOOLS.into_iter().find(|tool| offered.contains(tool)).unwrap_or(TOOLS[0]);
    let arguments = match tool {
        "exec_command" => json!({"cmd": command}),
        "shell_command" => json!({"command": command}),
        _ => json!({"command": ["bash", "-lc", command]}),
    };
    let (id, call) = (format!("fc_{step}"), format!("call_{step}"));
    json!({"type": "function_call", "id": id, "call_id": call, "name": tool, "arguments": arguments.to_string()})
}

/// The events of one response that holds one item.
fn events(item: &Value) -> String {
    let id = format!("resp_{}", item["id"].as_str().unwrap_or_default());
    let usage = json!({"input_tokens": 10, "input_tokens_details": null, "output_tokens": 5, "output_tokens_details": null, "total_tokens": 15});
    let all = [
        json!({"type": "response.created", "response": {"id": id}}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": id, "usage": usage}}),
    ];
    all.iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect()
}
