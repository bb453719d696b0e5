//! Nothing in the way of the documents matters, and no link is followed.

use std::os::unix::fs::symlink;

use drydock_domain::{JobId, JobType, ProjectId};
use tempfile::TempDir;

use super::*;

fn request() -> AgentRequest {
    AgentRequest {
        project_id: ProjectId::generate(),
        job_id: JobId::generate(),
        attempt: 1,
        job_type: JobType::Edit,
        instruction: "do it".to_owned(),
        workspace_path: "/w".to_owned(),
        labels: [("team".to_owned(), "blue".to_owned())].into(),
    }
}

fn put(workspace: &TempDir, name: &str, bytes: &[u8]) {
    fs_err::create_dir_all(workspace.path().join(".codex")).unwrap();
    fs_err::write(workspace.path().join(".codex").join(name), bytes).unwrap();
}

#[test]
fn the_request_is_written_and_an_old_result_removed() {
    let workspace = TempDir::new().unwrap();
    put(&workspace, "result.json", b"{\"status\":\"completed\"}");
    put(&workspace, "notes.md", b"keep");
    let (exchange, removed) = Exchange::open(workspace.path()).unwrap();
    exchange.begin(&request()).unwrap();
    assert_eq!(removed, None);
    assert!(matches!(exchange.read_result(), Err(ReadResultError::Missing)));
    let written: serde_json::Value =
        serde_json::from_slice(&fs_err::read(workspace.path().join(".codex/request.json")).unwrap()).unwrap();
    assert_eq!(written["job_type"], "edit");
    assert_eq!(written["attempt"], 1);
    assert_eq!(written["labels"]["team"], "blue");
    assert!(workspace.path().join(".codex/notes.md").exists());
}

#[test]
fn no_link_is_followed_when_writing() {
    let (workspace, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    symlink(outside.path(), workspace.path().join(".codex")).unwrap();
    let (exchange, removed) = Exchange::open(workspace.path()).unwrap();
    assert_eq!(removed, Some("symbolic link"));
    exchange.begin(&request()).unwrap();
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);

    let victim = outside.path().join("victim");
    fs_err::write(&victim, "untouched").unwrap();
    for name in ["request.json", "result.json"] {
        let link = workspace.path().join(".codex").join(name);
        let _ = fs_err::remove_file(&link);
        symlink(&victim, &link).unwrap();
    }
    assert!(matches!(exchange.read_result(), Err(ReadResultError::NotAFile("symbolic link"))));
    exchange.begin(&request()).unwrap();
    exchange.write_result(&AgentResult::completed("x")).unwrap();
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "untouched");
}

#[test]
fn whatever_is_in_the_way_is_replaced() {
    let workspace = TempDir::new().unwrap();
    fs_err::write(workspace.path().join(".codex"), "a file").unwrap();
    assert_eq!(Exchange::open(workspace.path()).unwrap().1, Some("file"));
    fs_err::create_dir_all(workspace.path().join(".codex/result.json/deep/er")).unwrap();
    let (exchange, _) = Exchange::open(workspace.path()).unwrap();
    assert!(matches!(exchange.read_result(), Err(ReadResultError::NotAFile("folder"))));
    exchange.write_result(&AgentResult::completed("fine")).unwrap();
    assert_eq!(exchange.read_result().unwrap(), AgentResult::completed("fine"));
}

/// Deeper than a process has handles: the standard way of removing gives up on it.
#[test]
fn the_deepest_folder_in_the_way_is_removed() {
    let workspace = TempDir::new().unwrap();
    let (exchange, _) = Exchange::open(workspace.path()).unwrap();
    let mut deep = fs::open(workspace.path().join(".codex"), OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mut name = "result.json";
    for _ in 0..400 {
        fs::mkdirat(&deep, name, Mode::RWXU).unwrap();
        deep = fs::openat(&deep, name, OFlags::DIRECTORY, Mode::empty()).unwrap();
        name = "deeper";
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let few = rustix::process::Rlimit { current: Some(200), maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    exchange.begin(&request()).unwrap();
    assert!(matches!(exchange.read_result(), Err(ReadResultError::Missing)));
}

#[test]
fn a_pipe_a_huge_file_and_nonsense_are_errors_at_once() {
    let workspace = TempDir::new().unwrap();
    let (exchange, _) = Exchange::open(workspace.path()).unwrap();
    let path = workspace.path().join(".codex/result.json");
    fs::mkfifoat(fs::CWD, &path, Mode::RUSR).unwrap();
    assert!(matches!(exchange.read_result(), Err(ReadResultError::NotAFile("named pipe"))));
    fs_err::remove_file(&path).unwrap();
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(exchange.read_result(), Err(ReadResultError::Invalid(AgentResultError::TooLarge))));
    put(&workspace, "result.json", b"{");
    assert!(matches!(exchange.read_result(), Err(ReadResultError::Invalid(AgentResultError::Malformed(_)))));
}

#[test]
fn a_workspace_that_was_taken_away_is_made_anew() {
    let (scratch, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let workspace = scratch.path().join("w");
    assert!(Exchange::reopen(&workspace).unwrap().1);
    assert!(!Exchange::reopen(&workspace).unwrap().1);
    fs_err::remove_dir_all(&workspace).unwrap();
    symlink(outside.path(), &workspace).unwrap();
    assert!(Exchange::reopen(&workspace).unwrap().1);
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    assert!(workspace.join(".codex").is_dir());
}
