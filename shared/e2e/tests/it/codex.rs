//! The real Codex CLI through the whole system, its model scripted on loopback, on a source tree nobody here wrote.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use drydock_testing::{scripted_model::ScriptedModel, setting};
use serde_json::json;

use crate::stack::{
    Options, Stack,
    client::{http, id},
    toolchains,
};

const CANARY: &str = "sk-canary-0123456789abcdef";
const EDITED: &str = "src/lib.rs";

async fn stack(model: &ScriptedModel) -> Stack {
    let settings = vec![
        ("DRYDOCK_CODEX_BIN", setting("DRYDOCK_CODEX_BIN")),
        ("DRYDOCK_CODEX_BASE_URL", model.base_url()),
        ("DRYDOCK_CODEX_MODEL", "gpt-5".to_owned()),
        ("OPENAI_API_KEY", CANARY.to_owned()),
        ("DRYDOCK_DEFAULT_AGENT", "codex".to_owned()),
    ];
    // Its program is a link into the packages that npm keeps beside it.
    let packages = Path::new(&setting("DRYDOCK_CODEX_BIN")).ancestors().nth(2).unwrap().display().to_string();
    let worker_settings =
        vec![("DRYDOCK_ISOLATION", "auto".to_owned()), ("DRYDOCK_JAIL_READ", format!("{}:{packages}", toolchains()))];
    Stack::with(Options { settings, worker_settings, ..Options::default() }).await
}

#[tokio::test]
async fn codex_edits_one_file_of_a_real_tree_and_nothing_else_differs() {
    let script = format!("sleep 1 && printf '\\n// edited by an agent\\n' >> {EDITED}");
    let model = ScriptedModel::start(vec![script, "grep -m1 ^name Cargo.toml".to_owned()]).await.unwrap();
    let stack = stack(&model).await;
    let source = real_tree();
    let project = import(&stack, source.path(), "codex").await;

    let job = stack
        .client
        .submit(&project, json!({"job_type": "edit", "instruction": "say in src/lib.rs that an agent was here"}))
        .await;
    stack.client.reaches(&job, "running").await;
    let arguments = arguments_of_all_processes();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], &ended["modified_files"]), (&json!("completed"), &json!([EDITED])), "{ended}");
    assert_eq!((&ended["created_files"], &ended["deleted_files"]), (&json!([]), &json!([])));

    // Of the last turn: codex tells what its thread has used so far.
    assert_eq!(ended["tokens"]["output"], json!(15), "five for each of three answers of the model: {ended}");
    assert_eq!(ended["attempts"][0]["tokens"], ended["tokens"]);

    let after = download(&stack, &project, 2).await;
    let differing = differences(source.path(), after.path());
    assert_eq!(differing, [format!("Files differ: {EDITED}")]);
    let expected = fs_err::read_to_string(source.path().join(EDITED)).unwrap() + "\n// edited by an agent\n";
    assert_eq!(fs_err::read_to_string(after.path().join(EDITED)).unwrap(), expected);

    told(&stack, &project, &job).await;
    assert!(
        model.requests().iter().any(|request| request.header("authorization") == Some(&format!("Bearer {CANARY}"))),
        "codex got its key"
    );
    assert!(!arguments.contains(CANARY), "the key was in a process's arguments");
    nowhere(&stack, &project, &job).await;
    stack.await_clean().await;
}

/// Codex's events became log and progress lines.
async fn told(stack: &Stack, project: &str, job: &str) {
    let log = stack.client.log(project, job).await;
    assert!(log.contains("OPENAI_API_KEY=present") && log.contains("OPENAI_ORG_ID=absent"), "{log}");
    assert!(
        log.contains("edited by an agent") && log.contains("name = \"aws-sdk-s3\""),
        "its commands and their output:\n{log}"
    );
    let client = stack.database.client().await.unwrap();
    let progress = "SELECT string_agg(data ->> 'message', E'\\n' ORDER BY xid, id) FROM event WHERE job_id = $1::text::uuid AND kind = 'progress'";
    let messages: String = client.query_one(progress, &[&job]).await.unwrap().get(0);
    assert!(messages.contains("edited by an agent"), "{messages}");
}

/// The key's value is in no row, no log, no file of ours.
async fn nowhere(stack: &Stack, project: &str, job: &str) {
    assert!(!stack.client.log(project, job).await.contains(CANARY));
    assert!(!stack.process_logs().contains(CANARY));
    let url = secrecy::ExposeSecret::expose_secret(&stack.database.url).to_owned();
    let dump = Command::new("pg_dump").args(["--inserts", &url]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    assert!(dump.contains(job) && !dump.contains(CANARY));
    assert!(!dump.contains(&hex::encode(CANARY)), "nor in a bytea");
    for path in [".codex/request.json", ".codex/result.json"] {
        assert!(!stack.client.text(&format!("/projects/{project}/files/{path}")).await.contains(CANARY), "{path}");
    }
}

/// A copy of a crate of the local registry, with a symlink and an executable, which crates do not have.
fn real_tree() -> tempfile::TempDir {
    let cargo =
        std::env::var_os("CARGO_HOME").map_or_else(|| PathBuf::from(setting("HOME")).join(".cargo"), PathBuf::from);
    let registries = fs_err::read_dir(cargo.join("registry/src")).unwrap().map(|entry| entry.unwrap().path());
    let crates = registries.flat_map(|registry| fs_err::read_dir(registry).unwrap().map(|entry| entry.unwrap().path()));
    let found = crates
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aws-sdk-s3-")))
        .max();
    let copy = tempfile::tempdir().unwrap();
    let source = found.expect("cargo has fetched aws-sdk-s3, which this workspace depends on");
    assert!(Command::new("cp").arg("-a").arg(source.join(".")).arg(copy.path()).status().unwrap().success());
    std::os::unix::fs::symlink("src/lib.rs", copy.path().join("library")).unwrap();
    let tool = copy.path().join("tool.sh");
    fs_err::write(&tool, "#!/bin/sh\n").unwrap();
    fs_err::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let files = Command::new("find").arg(copy.path()).args(["-type", "f"]).output().unwrap().stdout;
    assert!(files.iter().filter(|byte| **byte == b'\n').count() >= 300, "a real tree is not small");
    copy
}

/// A project whose version 1 no worker has seen.
pub(crate) async fn import(stack: &Stack, tree: &Path, agent: &str) -> String {
    let tar = Command::new("tar").args(["-cf", "-", "-C"]).arg(tree).arg(".").output().unwrap();
    assert!(tar.status.success());
    let url = format!("{}/api/v1/projects/import?instruction=an%20S3%20client&agent={agent}", stack.client.base());
    let answer = http().post(url).header("Content-Type", "application/x-tar").body(tar.stdout).send().await.unwrap();
    let status = answer.status();
    let project: serde_json::Value = answer.json().await.unwrap();
    assert_eq!((status.as_u16(), &project["head_version"]), (201, &json!(1)), "{project}");
    id(&project)
}

async fn download(stack: &Stack, project: &str, version: u32) -> tempfile::TempDir {
    let tar = stack.client.bytes(&format!("/projects/{project}/archive?version={version}")).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".download.tar");
    fs_err::write(&file, tar).unwrap();
    assert!(Command::new("tar").arg("-xpf").arg(&file).arg("-C").arg(directory.path()).status().unwrap().success());
    fs_err::remove_file(file).unwrap();
    directory
}

/// What `diff` sees, plus modes and link targets, which it does not look at.
fn differences(before: &Path, after: &Path) -> Vec<String> {
    let listing = |root: &Path| {
        let output = Command::new("find")
            .args([".", "-mindepth", "1", "-printf", "%p %y %m %l\\n"])
            .current_dir(root)
            .output()
            .unwrap();
        let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(listing(before), listing(after), "names, types, modes and link targets");
    let diff = Command::new("diff").args(["-rq", "--no-dereference"]).arg(before).arg(after).output().unwrap();
    let root = format!("{}/", before.display());
    let lines = String::from_utf8(diff.stdout).unwrap();
    lines.lines().map(|line| line.split(' ').nth(1).unwrap().replace(&root, "Files differ: ")).collect()
}

fn arguments_of_all_processes() -> String {
    let processes =
        fs_err::read_dir("/proc").unwrap().filter_map(|entry| fs_err::read(entry.ok()?.path().join("cmdline")).ok());
    processes.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " ")).collect::<Vec<_>>().join("\n")
}
