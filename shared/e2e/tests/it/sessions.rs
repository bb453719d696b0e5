//! Sessions from the user's side: two APIs, a real worker, real servers, plain HTTP to `host:port`.

use std::{io, path::Path, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::Instant};

use crate::stack::{
    Client, Options, PATIENCE, Stack,
    client::{http, id, shell},
    toolchains,
};

/// What a release may take until nobody listens.
const SOON: Duration = Duration::from_secs(1);

/// `notes` writes what it is asked for into a file of the workspace; `mute` listens nowhere; `broken` ends at once.
const SERVERS: &str = r#"
[session.notes]
argv = ["perl", "-MIO::Socket::INET", "-e", '''
  my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift, Listen => 5, ReuseAddr => 1) or die $!;
  system("sleep 300 & echo \$! > $ENV{HOME}/child");
  while (my $c = $s->accept) {
    my $line = <$c> // next; my ($path) = $line =~ m{^GET /(\S+)};
    while (<$c>) { last if /^\r?\n$/ }
    if ($path eq "pid") { my $child = `cat $ENV{HOME}/child`; print $c "HTTP/1.0 200 OK\r\n\r\n$$ $child"; }
    else { open(my $f, ">", $path) or die $!; print $f "noted\n"; close $f; print $c "HTTP/1.0 200 OK\r\n\r\nnoted"; }
    close $c;
  }''', "{port}"]
port = "given"

[session.mute]
argv = ["sh", "-c", "echo $$ > PLACE/mute; echo 'I say nothing'; exec sleep 300", "{port_file}"]
port = "file"
start_timeout = "1s"

[session.broken]
argv = ["sh", "-c", "echo 'no such module' >&2; exit 3"]
port = "printed"
pattern = 'port (\d+)'
"#;

struct Place {
    stack: Stack,
    marks: tempfile::TempDir,
}

/// One worker with `SERVERS`, and `sessions` places for them.
async fn place(sessions: u16, settings: Vec<(&'static str, String)>) -> Place {
    let marks = tempfile::tempdir().unwrap();
    let file = marks.path().join("agents.toml");
    fs_err::write(&file, SERVERS.replace("PLACE", &marks.path().display().to_string())).unwrap();
    let worker_settings =
        vec![("DRYDOCK_AGENTS_FILE", file.display().to_string()), ("DRYDOCK_SESSION_SLOTS", sessions.to_string())];
    let options = Options { workers: Some(1), slots: Some(4), settings, worker_settings };
    Place { stack: Stack::with(options).await, marks }
}

async fn project(client: &Client) -> String {
    id(&client.project(json!({"instruction": "an app to look at"})).await)
}

async fn start(client: &Client, project: &str, server: &str, more: Value) -> (StatusCode, Value) {
    let mut body = json!({"project_id": project, "server": server});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.send(Method::POST, "/sessions", Some(body)).await
}

async fn started(client: &Client, project: &str, server: &str, more: Value) -> Value {
    let (status, session) = start(client, project, server, more).await;
    assert_eq!((status, &session["status"]), (StatusCode::CREATED, &json!("ready")), "{session}");
    session
}

async fn stop(client: &Client, session: &Value) -> Value {
    let id = session["session_id"].as_str().unwrap();
    let (status, end) = client.send(Method::DELETE, &format!("/sessions/{id}"), None).await;
    assert_eq!(status, StatusCode::OK, "{end}");
    end
}

fn address(session: &Value) -> String {
    format!("{}:{}", session["host"].as_str().unwrap(), session["port"])
}

async fn fetch(session: &Value, path: &str) -> String {
    let answer = http().get(format!("http://{}/{path}", address(session))).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

async fn refused(session: &Value) {
    let error = TcpStream::connect(address(session)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

async fn live(client: &Client) -> Vec<Value> {
    client.get("/sessions").await["items"].as_array().unwrap().clone()
}

fn runs(pid: &str) -> bool {
    Path::new(&format!("/proc/{}/cwd", pid.trim())).exists()
}

/// Red when the lane is not held, when the address stays with the project, and when the server outlives the release.
#[tokio::test]
async fn a_preview_shows_the_projects_files_and_holds_its_lane_until_it_is_released() {
    let Place { stack, marks: _marks } = place(2, vec![]).await;
    let client = &stack.client;
    let project = project(client).await;
    let session = started(client, &project, "preview", json!({})).await;
    let session_id = session["session_id"].as_str().unwrap();
    assert_eq!(fetch(&session, "app.py").await, client.text(&format!("/projects/{project}/files/app.py")).await);
    assert!(fetch(&session, "").await.contains("README.md"), "a list of the files");
    let shown = client.get(&format!("/projects/{project}")).await;
    assert_eq!(shown["preview_url"], json!(format!("http://{}/", address(&session))));
    assert_eq!(client.get(&format!("/sessions/{session_id}")).await["status"], "ready");
    assert_eq!(live(client).await.len(), 1);
    let job = client.submit(&project, shell("echo later > later.txt")).await;
    client.reaches(&job, "pending").await;

    let asked = Instant::now();
    let end = stop(client, &session).await;
    assert_eq!(end, json!({"status": "terminated", "session_id": session_id}), "it changed nothing");
    assert!(asked.elapsed() < PATIENCE);
    refused(&session).await;
    assert_eq!(client.get(&format!("/projects/{project}")).await["preview_url"], Value::Null);
    assert_eq!(client.ended(&job).await["status"], "completed");
    let again = stop(client, &session).await;
    assert_eq!(again, json!({"status": "already_gone", "session_id": session_id}));
    assert_eq!(live(client).await.len(), 0);
    let ended = client.get("/sessions?ended=true").await;
    assert_eq!(ended["items"][0]["status"], "terminated");
    for unknown in [project.as_str(), "nonsense"] {
        for method in [Method::GET, Method::DELETE] {
            let (status, body) = client.send(method, &format!("/sessions/{unknown}"), None).await;
            assert_eq!((status, &body["detail"]), (StatusCode::NOT_FOUND, &json!("Invalid or missing 'session_id'")));
        }
    }
    stack.await_clean().await;
}

/// Red when what a session changed is not pushed, when its children outlive it, and when connections are taken a second after the release.
#[tokio::test]
async fn what_a_session_changes_is_a_version_once_it_is_released() {
    let Place { stack, marks: _marks } = place(2, vec![]).await;
    let client = &stack.client;
    let project = project(client).await;
    let session = started(client, &project, "notes", json!({})).await;
    assert_eq!(fetch(&session, "noted.txt").await, "noted");
    let pids = fetch(&session, "pid").await;
    let stopping = async {
        let asked = Instant::now();
        let end = stop(client, &session).await;
        (end, asked.elapsed())
    };
    let refusing = async {
        let asked = Instant::now();
        while TcpStream::connect(address(&session)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        asked.elapsed()
    };
    let ((end, _), took) = tokio::join!(stopping, refusing);
    assert_eq!((&end["status"], &end["version"]), (&json!("terminated"), &json!(2)), "{end}");
    assert!(took < SOON, "connections were taken for {took:?}");
    assert!(pids.split_whitespace().all(|pid| !runs(pid)), "{pids}");
    assert_eq!(client.text(&format!("/projects/{project}/files/noted.txt")).await, "noted\n");
    let job = client.get(&format!("/jobs/{}", session["session_id"].as_str().unwrap())).await;
    let told = (&job["job_type"], &job["status"], &job["created_files"]);
    assert_eq!(told, (&json!("session"), &json!("completed"), &json!(["noted.txt"])), "{job}");
}

#[tokio::test]
async fn a_read_only_session_keeps_nobody_waiting_and_nothing() {
    let Place { stack, marks: _marks } = place(2, vec![]).await;
    let client = &stack.client;
    let project = project(client).await;
    let session = started(client, &project, "notes", json!({"read_only": true})).await;
    assert_eq!(fetch(&session, "noted.txt").await, "noted");
    assert_eq!(client.run(&project, shell("echo beside > beside.txt")).await["status"], "completed");
    let end = stop(client, &session).await;
    assert_eq!((&end["status"], &end["version"], &end["error"]), (&json!("terminated"), &Value::Null, &Value::Null));
    let (status, _) = client.send(Method::GET, &format!("/projects/{project}/files/noted.txt"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let idle = started(client, &project, "notes", json!({"idle_timeout_s": 1})).await;
    let session = format!("/sessions/{}", idle["session_id"].as_str().unwrap());
    drydock_testing::until("the session is over", PATIENCE, || async {
        (client.get(&session).await["status"] == "terminated").then_some(())
    })
    .await;
    refused(&idle).await;
}

/// Red when a start that failed leaves a process, a session or its lane.
#[tokio::test]
async fn a_server_that_does_not_start_is_told_with_its_last_words_and_leaves_nothing() {
    let Place { stack, marks } = place(2, vec![]).await;
    let client = &stack.client;
    let project = project(client).await;
    let (status, body) = start(client, &project, "mute", json!({})).await;
    let told = (status, &body["error"], &body["detail"]);
    let detail = json!("Server process failed to report its port in time.\nI say nothing");
    assert_eq!(told, (StatusCode::INTERNAL_SERVER_ERROR, &json!("session_start_failed"), &detail), "{body}");
    assert!(!runs(&fs_err::read_to_string(marks.path().join("mute")).unwrap()));
    let (status, body) = start(client, &project, "broken", json!({})).await;
    let detail = json!("Server process exited with code 3 before it took connections.\nno such module");
    assert_eq!((status, &body["detail"]), (StatusCode::INTERNAL_SERVER_ERROR, &detail), "{body}");
    assert_eq!(live(client).await.len(), 0);
    let ended = client.get("/sessions?ended=true").await;
    let statuses: Vec<&Value> = ended["items"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!(statuses, ["failed", "failed"]);
    assert_eq!(client.run(&project, shell("true")).await["status"], "completed", "its lane is free");
    let (status, body) = start(client, &project, "unknown", json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let (status, body) = start(client, &uuid::Uuid::now_v7().to_string(), "preview", json!({})).await;
    assert_eq!((status, &body["detail"]), (StatusCode::NOT_FOUND, &json!("Project not found")));
    let post = json!({"job_type": "session", "instruction": "no"});
    let (status, _) = client.send(Method::POST, &format!("/projects/{project}/jobs"), Some(post)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "sessions are not submitted as jobs");
}

#[tokio::test]
async fn without_a_free_place_nothing_is_left_behind() {
    let Place { stack, marks: _marks } = place(1, vec![("DRYDOCK_API_SESSION_WAIT", "1s".to_owned())]).await;
    let client = &stack.client;
    let (first, second) = (project(client).await, project(client).await);
    let session = started(client, &first, "notes", json!({})).await;
    let body = json!({"project_id": second, "server": "notes"});
    let answer = http().post(format!("{}/api/v1/sessions", client.base())).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(client.get("/jobs?type=session&status=queued").await["items"], json!([]));
    // A project whose lane another job holds: nobody takes it in time.
    stop(client, &session).await;
    let busy = client.submit(&second, shell("sleep 300")).await;
    client.reaches(&busy, "running").await;
    let (status, body) = start(client, &second, "notes", json!({})).await;
    let detail = json!("Another job of the project runs, and did not end in time");
    assert_eq!((status, &body["detail"]), (StatusCode::SERVICE_UNAVAILABLE, &detail), "{body}");
    assert_eq!(live(client).await.len(), 0);
    client.send(Method::POST, &format!("/jobs/{busy}/cancel"), None).await;
}

/// Red when a worker starts without ending what its predecessor left, and when a lost session stays listed or is started again.
#[tokio::test]
async fn a_worker_that_is_killed_and_comes_back_leaves_no_session() {
    let Place { mut stack, marks: _marks } = place(2, vec![]).await;
    let project = project(&stack.client).await;
    let session = started(&stack.client, &project, "notes", json!({})).await;
    let pids = fetch(&session, "pid").await;
    stack.workers[0].kill();
    assert!(pids.split_whitespace().all(runs), "they outlive their worker");
    stack.workers[0].restart();
    drydock_testing::until("nothing of the session is left", PATIENCE, || async {
        pids.split_whitespace().all(|pid| !runs(pid)).then_some(())
    })
    .await;
    let client = &stack.client;
    drydock_testing::until("it is not listed", PATIENCE, || async { live(client).await.is_empty().then_some(()) })
        .await;
    refused(&session).await;
    assert_eq!(client.run(&project, shell("true")).await["status"], "completed", "its lane is free");
    let shown = client.get(&format!("/sessions/{}", session["session_id"].as_str().unwrap())).await;
    let told = (&shown["status"], &shown["error"]);
    assert_eq!(told, (&json!("failed"), &json!("the session was lost with its attempt, and is not started again")));
    assert_eq!(stop(client, &session).await["status"], "already_gone");
    let job = client.get(&format!("/jobs/{}", session["session_id"].as_str().unwrap())).await;
    assert_eq!(job["attempts"].as_array().unwrap().len(), 1, "{job}");
    stack.await_clean().await;
}

#[tokio::test]
async fn a_worker_that_stops_keeps_what_its_sessions_changed() {
    let Place { mut stack, marks: _marks } = place(2, vec![]).await;
    let project = project(&stack.client).await;
    let session = started(&stack.client, &project, "notes", json!({})).await;
    assert_eq!(fetch(&session, "noted.txt").await, "noted");
    let pids = fetch(&session, "pid").await;
    stack.workers[0].signal(rustix::process::Signal::TERM);
    assert!(stack.workers[0].ended().await.success());
    assert!(pids.split_whitespace().all(|pid| !runs(pid)), "{pids}");
    let client = &stack.client;
    assert_eq!(client.text(&format!("/projects/{project}/files/noted.txt")).await, "noted\n");
    let shown = client.get(&format!("/sessions/{}", session["session_id"].as_str().unwrap())).await;
    assert_eq!((&shown["status"], &shown["version"]), (&json!("terminated"), &json!(2)), "{shown}");
    refused(&session).await;
}

/// The real Serena, as the worker has it built in, without walls and at the levels that tell a job from the rest: an MCP client reaches it, is
/// told who answers, and has it write into the workspace.
#[tokio::test]
async fn serena_works_for_an_mcp_client_behind_walls_too() {
    let programs = drydock_testing::setting("DRYDOCK_TEST_SERENA_BIN");
    let path = format!("{programs}:{}", drydock_testing::setting("PATH"));
    let readable = format!("{}:{}", toolchains(), Path::new(&programs).parent().unwrap().display());
    for level in ["none", "landlock", "namespace"] {
        let settings = [("PATH", path.as_str()), ("DRYDOCK_ISOLATION", level), ("DRYDOCK_JAIL_READ", &readable)];
        let worker_settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
        let stack = Stack::with(Options { workers: Some(1), worker_settings, ..Options::default() }).await;
        let client = &stack.client;
        let project = project(client).await;
        let session = started(client, &project, "serena", json!({})).await;
        let mcp = Mcp::open(&session).await;
        let code = "s.fs.create_text_file('by-serena.txt', 'written by Serena')";
        let asked = json!({"name": "serena_repl", "arguments": {"session": "tests", "code": code}});
        let answer = mcp.ask("tools/call", asked).await;
        assert!(answer.contains("File created"), "{level}: {answer}");
        assert_eq!(stop(client, &session).await["status"], "terminated");
        let written = client.text(&format!("/projects/{project}/files/by-serena.txt")).await;
        assert_eq!(written, "written by Serena", "{level}");
        refused(&session).await;
    }
}

/// A client of the Model Context Protocol (2025-03-26, Streamable HTTP).
struct Mcp {
    url: String,
    session: String,
}

impl Mcp {
    async fn open(session: &Value) -> Self {
        let mut mcp = Self { url: format!("http://{}/mcp", address(session)), session: String::new() };
        let hello = json!({
            "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "drydock-tests", "version": "1"}
        });
        let answer = mcp.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello})).await;
        mcp.session = answer.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let said = answer.text().await.unwrap();
        assert!(said.contains("serverInfo"), "{said}");
        let heard = mcp.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        assert!(heard.status().is_success(), "{heard:?}");
        mcp
    }

    async fn ask(&self, method: &str, params: Value) -> String {
        let answer = self.post(&json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params})).await;
        answer.text().await.unwrap()
    }

    async fn post(&self, message: &Value) -> reqwest::Response {
        let request = http().post(&self.url).json(message).header("accept", "application/json, text/event-stream");
        let request = if self.session.is_empty() { request } else { request.header("mcp-session-id", &self.session) };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await.unwrap_or_default());
        answer
    }
}
