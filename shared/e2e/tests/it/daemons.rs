//! Daemons from the user's side: two APIs, `drydock daemon` itself on a folder, and the fleet's own workers beside it.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use drydock_e2e::process::Process;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stack::{
    Client, Options, PATIENCE, Stack,
    client::{id, shell},
};

/// A folder, and what its daemon needs.
struct Laptop {
    home: tempfile::TempDir,
    daemon: Process,
}

impl Laptop {
    /// A daemon on an empty folder, or on one with these files.
    fn start(stack: &Stack, project: &str, files: &[(&str, &str)], more: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("folder");
        fs_err::create_dir(&folder).unwrap();
        for (path, text) in files {
            fs_err::write(folder.join(path), text).unwrap();
        }
        let text = |path: PathBuf| path.display().to_string();
        let mut arguments = ["daemon", "--project", project, "--dir"].map(str::to_owned).to_vec();
        arguments.extend([text(folder), "--state-dir".to_owned(), text(home.path().join("state"))]);
        arguments.extend(["--server".to_owned(), stack.client.bases()[0].clone()]);
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let path = drydock_testing::setting("PATH");
        let settings = [("PATH", path), ("HOME", text(home.path().to_owned()))];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let daemon = Process::spawn_with("drydock", "daemon", arguments, settings, home.path());
        Self { home, daemon }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("folder")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs_err::read_to_string(self.folder().join(path)).ok()
    }

    /// Awaits a fact of the folder.
    async fn has(&self, what: &str, fact: impl Fn(&Path) -> bool) {
        let folder = self.folder();
        drydock_testing::until(&format!("{what}; the daemon said: {}", self.said()), PATIENCE, async || {
            fact(&folder).then_some(())
        })
        .await;
    }

    fn said(&self) -> String {
        fs_err::read_to_string(self.home.path().join("daemon.log")).unwrap_or_default()
    }

    async fn is(&self, client: &Client, project: &str, status: &str) {
        drydock_testing::until(&format!("the workspace is {status}"), PATIENCE, async || {
            (client.get(&format!("/workspaces/{project}")).await["status"] == status).then_some(())
        })
        .await;
    }
}

async fn project(client: &Client) -> String {
    id(&client.project(json!({"instruction": "an app to work on"})).await)
}

async fn paths(client: &Client, project: &str) -> Vec<String> {
    let list = client.get(&format!("/projects/{project}/files")).await;
    list["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

/// Awaits that the newest version has this file with this text, or has it not.
async fn stored(client: &Client, project: &str, path: &str, text: Option<&str>) {
    drydock_testing::until(&format!("{path} is {text:?}"), PATIENCE, async || {
        let (status, body) = client.send(Method::GET, &format!("/projects/{project}/files/{path}"), None).await;
        let is = match text {
            Some(text) => status == StatusCode::OK && body == text,
            None => status == StatusCode::NOT_FOUND,
        };
        is.then_some(())
    })
    .await;
}

fn edit(instruction: &str) -> Value {
    json!({"job_type": "edit", "instruction": instruction, "agent": "dummy"})
}

/// Red when files do not come down, changes do not go up, or a job runs elsewhere than in the folder.
#[tokio::test]
async fn a_job_runs_in_the_live_folder_and_changes_go_both_ways() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = project(client).await;
    let laptop = Laptop::start(&stack, &project, &[], &[]);
    laptop.is(client, &project, "connected").await;
    // In no order.
    let all = |folder: &Path| ["app.py", "tests/test_cli.py"].iter().all(|name| folder.join(name).exists());
    laptop.has("the files come down", all).await;
    assert_eq!(laptop.read("app.py").unwrap(), client.text(&format!("/projects/{project}/files/app.py")).await);

    laptop.write("notes/mine.md", "by hand");
    laptop.write("node_modules/x/index.js", "ignored");
    laptop.write(".hidden", "ignored");
    stored(client, &project, "notes/mine.md", Some("by hand")).await;
    fs_err::remove_file(laptop.folder().join("README.md")).unwrap();
    stored(client, &project, "README.md", None).await;
    assert!(!paths(client, &project).await.iter().any(|path| path.contains("node_modules") || path == ".hidden"));

    let before = laptop.read("app.py").unwrap();
    let job = client.run(&project, edit("say more")).await;
    assert_eq!((&job["status"], &job["modified_files"]), (&json!("completed"), &json!(["app.py"])), "{job}");
    let after = laptop.read("app.py").unwrap();
    assert!(after.starts_with(before.trim_end()) && after.len() > before.len(), "{after}");
    stored(client, &project, "app.py", Some(&after)).await;
    let log = client.log(&project, job["id"].as_str().unwrap()).await;
    let folder = laptop.folder().display().to_string();
    assert!(log.contains(&format!("[worker] Workspace: {folder}")) && log.contains("app.py ("), "{log}");
    assert!(job["version"].is_i64(), "{job}");
    let versions = client.get(&format!("/projects/{project}/versions")).await;
    assert_eq!(versions["items"][0]["author_kind"], "daemon", "{versions}");

    // What others change comes down.
    let put = reqwest::Client::new().put(format!("{}/api/v1/projects/{project}/files/theirs.md", client.base()));
    assert_eq!(put.body("by others").send().await.unwrap().status(), StatusCode::CREATED);
    laptop.has("the file of others comes down", |folder| folder.join("theirs.md").exists()).await;
}

/// Red when a job that waits for a daemon which said goodbye is never run.
#[tokio::test]
async fn a_daemon_that_is_stopped_leaves_its_jobs_to_the_fleet() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = project(client).await;
    let mut laptop = Laptop::start(&stack, &project, &[("mine.md", "was here before")], &[]);
    laptop.is(client, &project, "connected").await;
    // A folder that was not empty: nothing is deleted on either side.
    stored(client, &project, "mine.md", Some("was here before")).await;
    laptop.has("the rest comes down", |folder| folder.join("app.py").exists()).await;
    laptop.daemon.signal(Signal::TERM);
    assert!(laptop.daemon.ended().await.success(), "{}", laptop.said());
    laptop.is(client, &project, "disconnected").await;
    let job = client.run(&project, edit("elsewhere")).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(job["attempts"][0]["worker"].as_str().unwrap().contains("worker-"), "{job}");
    // Back again, it has what was changed meanwhile on both sides.
    laptop.write("offline.md", "written offline");
    laptop.daemon.restart();
    stored(client, &project, "offline.md", Some("written offline")).await;
    let newest = client.text(&format!("/projects/{project}/files/app.py")).await;
    laptop
        .has("the fleet's change comes down", |folder| {
            fs_err::read_to_string(folder.join("app.py")).is_ok_and(|text| text == newest)
        })
        .await;
}

/// Red when a command runs that is not on the list, when one reaches out of the folder, and when one is not in the audit log.
#[tokio::test]
async fn commands_are_held_to_the_list_and_the_folder_and_are_recorded() {
    let stack = Stack::start().await;
    let client = &stack.client;
    let project = project(client).await;
    let laptop = Laptop::start(&stack, &project, &[], &[]);
    laptop.is(client, &project, "connected").await;
    laptop.has("the files come down", |folder| folder.join("app.py").exists()).await;
    let beside = laptop.home.path().join("folder2");
    fs_err::create_dir(&beside).unwrap();
    fs_err::write(beside.join("secret"), "no").unwrap();
    let command = |argv: &[&str]| json!({"job_type": "command", "argv": argv});
    let done = client.run(&project, command(&["cat", "app.py"])).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["output"].as_str().unwrap().trim_end(), laptop.read("app.py").unwrap().trim_end());
    let refused = client.run(&project, shell("cat app.py")).await;
    assert_eq!(
        (&refused["status"], &refused["errors"]),
        (&json!("error"), &json!(["command 'sh' not allowed"])),
        "{refused}"
    );
    for path in
        [beside.join("secret").display().to_string(), "../folder2/secret".to_owned(), "/etc/hostname".to_owned()]
    {
        let outside = client.run(&project, command(&["cat", &path])).await;
        assert_eq!(outside["status"], "error", "{outside}");
        assert!(outside["errors"][0].as_str().unwrap().contains("is outside"), "{outside}");
    }
    drydock_testing::until("the audit log has them", PATIENCE, async || {
        let records = client.get("/audit?action=command.run").await;
        (records["items"].as_array()?.len() == 5).then_some(())
    })
    .await;
}

/// Red when a result is lost with the connection, or the agent is run twice.
#[tokio::test]
async fn a_job_in_flight_outlives_the_servers() {
    let mut stack = Stack::start().await;
    let project = project(&stack.client).await;
    let agents = tempfile::NamedTempFile::new().unwrap();
    let marks = tempfile::tempdir().unwrap();
    let script = format!(
        "echo started >> {0}/runs; while [ ! -e {0}/go ]; do sleep 0.05; done; echo made > made.txt",
        marks.path().display()
    );
    let entry = format!("[[agent]]\nname = 'slow'\nargv = ['sh', '-c', \"{script}\"]\nprotocol = 'exit'\n");
    fs_err::write(agents.path(), entry).unwrap();
    fs_err::set_permissions(agents.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = agents.path().display().to_string();
    let laptop = Laptop::start(&stack, &project, &[], &["--agents-file", &file]);
    laptop.is(&stack.client, &project, "connected").await;
    let body = json!({"job_type": "edit", "instruction": "slowly", "agent": "slow"});
    let job = stack.client.submit(&project, body).await;
    laptop.has("the agent runs", |_| marks.path().join("runs").exists()).await;
    stack.restart_apis().await;
    fs_err::write(marks.path().join("go"), "").unwrap();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], &ended["created_files"]), (&json!("completed"), &json!(["made.txt"])), "{ended}");
    assert_eq!(ended["attempts"].as_array().unwrap().len(), 1, "{ended}");
    assert_eq!(fs_err::read_to_string(marks.path().join("runs")).unwrap(), "started\n");
    stored(&stack.client, &project, "made.txt", Some("made\n")).await;
}

/// Red when a job stays with a daemon for ever that does not come back.
#[tokio::test]
async fn a_daemon_that_is_gone_for_good_loses_its_jobs_to_the_fleet() {
    let settings = vec![("DRYDOCK_API_DAEMON_LEASE", "2s".to_owned())];
    let stack = Stack::with(Options { settings, ..Options::default() }).await;
    let client = &stack.client;
    let project = project(client).await;
    let mut laptop = Laptop::start(&stack, &project, &[], &[]);
    laptop.is(client, &project, "connected").await;
    laptop.daemon.kill();
    let job = client.run(&project, edit("whoever is there")).await;
    assert_eq!(job["status"], "completed", "{job}");
    // It may have been handed to the daemon before its end was noticed: that attempt is lost then.
    let last = job["attempts"].as_array().unwrap().last().unwrap();
    assert!(last["worker"].as_str().unwrap().contains("worker-"), "{job}");
}
