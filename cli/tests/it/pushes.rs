//! A folder and single files, changed by hand: what goes in is there, what is not named stays.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use drydock_database::report::Report;
use drydock_domain::Outcome;
use serde_json::{Value, json};

use crate::{harness::Api, worker::Worker};

fn write(dir: &tempfile::TempDir, path: &str, text: &str) {
    let path = dir.path().join(path);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

/// A project from a tree; the tree.
async fn project(api: &Api) -> (String, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [("src/a", "one\n"), ("src/b", "b"), ("old/deep/x", "x"), ("old/y", "y"), ("build/out", "o")] {
        write(&dir, path, text);
    }
    symlink("a", dir.path().join("src/link")).unwrap();
    let words = ["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"];
    (api.drydock_with(&words).ok().await.line(), dir)
}

async fn listed(api: &Api, project: &str) -> Vec<String> {
    let lines = api.drydock(&format!("-o ndjson files {project}")).ok().await.text();
    let paths =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].as_str().unwrap().to_owned());
    paths.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_becomes_the_next_version() {
    let api = Api::start().await;
    let (project, dir) = project(&api).await;
    let source = dir.path().to_str().unwrap();
    let push = |more: &str| api.drydock(format!("push {source} --project {project} {more}").trim());
    let same = push("").ok().await.says("version 1 has these files already");
    assert_eq!(same.line(), "1");
    write(&dir, "src/a", "two\n");
    write(&dir, "new/f", "f");
    write(&dir, ".drydockignore", "*.log\n/build/\n");
    write(&dir, "x.log", "no");
    write(&dir, "build/out", "changed, and tracked");
    write(&dir, "build/fresh", "ignored");
    fs_err::remove_dir_all(dir.path().join("old")).unwrap();
    fs_err::remove_file(dir.path().join("src/link")).unwrap();
    symlink("b", dir.path().join("src/link")).unwrap();
    fs_err::set_permissions(dir.path().join("src/b"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let dry = push("--dry-run --json").ok().await.json();
    let expected = json!({"created": [".drydockignore", "new/f"], "modified": ["build/out", "src/a", "src/b", "src/link"],
                          "deleted": ["old/deep/x", "old/y"]});
    assert_eq!(dry, expected);
    push("--if-version 7").end().await.exit(5).says("the newest version is 1, not 7");
    let pushed =
        push("--if-version 1").ok().await.says("deleted   old/y").says("version 2: 2 created, 4 modified, 2 deleted");
    assert_eq!(pushed.line(), "2");
    assert_eq!(listed(&api, &project).await, [".drydockignore", "build/out", "new/f", "src/a", "src/b", "src/link"]);
    let back = tempfile::tempdir().unwrap();
    api.drydock(&format!("pull {project} {}", back.path().display())).ok().await;
    assert!(!back.path().join("old").exists(), "with its directories");
    assert_eq!(fs_err::read_link(back.path().join("src/link")).unwrap().to_str(), Some("b"));
    assert_eq!(fs_err::metadata(back.path().join("src/b")).unwrap().permissions().mode() & 0o777, 0o755);
    // What came out goes in again as the same version.
    let again = api.drydock(&format!("project push {} -p {project}", back.path().display())).ok().await;
    assert_eq!(again.says("nothing was changed").line(), "2");
    push("--exclude new --exclude ./build").ok().await;
    fs_err::remove_dir_all(dir.path().join("new")).unwrap();
    assert_eq!(push("--exclude new").ok().await.line(), "2", "what is excluded stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_out_and_empty_directories_come_and_go() {
    let api = Api::start().await;
    let (project, dir) = project(&api).await;
    let push = |more: &str| api.drydock(format!("push {} --project {project} {more}", dir.path().display()).trim());
    let plan = async || push("--dry-run --json").ok().await.json();
    symlink("/etc/passwd", dir.path().join("out")).unwrap();
    fs_err::create_dir_all(dir.path().join("empty/deep")).unwrap();
    assert_eq!(plan().await, json!({"created": ["out", "empty/deep/"], "modified": [], "deleted": []}));
    push("").ok().await.says("created   empty/deep/").says("version 2: 1 created, 0 modified, 0 deleted");
    assert_eq!(plan().await, json!({"created": [], "modified": [], "deleted": []}), "the version has both");
    let back = tempfile::tempdir().unwrap();
    api.drydock(&format!("pull {project} {}", back.path().display())).ok().await;
    assert!(back.path().join("out").is_symlink() && back.path().join("empty/deep").is_dir());
    fs_err::remove_file(dir.path().join("out")).unwrap();
    fs_err::remove_dir_all(dir.path().join("empty")).unwrap();
    assert_eq!(plan().await, json!({"created": [], "modified": [], "deleted": ["out", "empty/deep/"]}));
    push("").ok().await.says("deleted   empty/deep/").says("version 3: 0 created, 0 modified, 1 deleted");
    let gone = tempfile::tempdir().unwrap();
    api.drydock(&format!("pull {project} {}", gone.path().display())).ok().await;
    assert!(!gone.path().join("out").is_symlink() && !gone.path().join("empty").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_put_and_deleted() {
    let api = Api::start().await;
    let (project, dir) = project(&api).await;
    write(&dir, "local.sh", "#!/bin/sh\n");
    fs_err::set_permissions(dir.path().join("local.sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let local = dir.path().join("local.sh");
    let put = |more: &str| api.drydock(format!("project put {project} bin/run.sh {} {more}", local.display()).trim());
    assert_eq!(put("").ok().await.says("created bin/run.sh: version 2").line(), "2");
    let files = api.drydock(&format!("files {project}")).ok().await.text();
    assert!(files.lines().any(|line| line.starts_with("0755") && line.ends_with("bin/run.sh")), "{files}");
    assert_eq!(put("--json").ok().await.json()["change"], "unchanged");
    put("--if-version 1").end().await.exit(5).says("The newest version is 2");
    put("--mode rwx").end().await.exit(2).says("mode: ");
    let remove = |more: &str| api.drydock(&format!("project rm-file {project} {more}"));
    assert_eq!(remove("src/a --if-version 2").ok().await.says("deleted src/a: version 3").line(), "3");
    remove("src/a").end().await.exit(4).says("File not found");
    remove("old").end().await.exit(5).says("is a directory");
    assert_eq!(remove("old -r").ok().await.line(), "4");
    remove("../x").end().await.exit(2).says("is no path in a project");
    api.drydock(&format!("project put {project} d {}", dir.path().display())).end().await.exit(2).says("drydock push");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_at_work_is_named() {
    let api = Api::start().await;
    let (project, dir) = project(&api).await;
    let worker = Worker::start(&api).await;
    let job = api.drydock(&format!("submit {project} -i change")).ok().await.line();
    let attempt = worker.claim(&job).await;
    write(&dir, "src/a", "by hand\n");
    let push = |more: &str| api.drydock(format!("push {} -p {project} {more}", dir.path().display()).trim());
    push("").end().await.exit(5).says(&job).says("while_running");
    assert_eq!(push("--while-running").ok().await.line(), "2");
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default()).await;
    let text = api.drydock(&format!("project cat {project} src/a")).ok().await.text();
    assert_eq!(text, "by hand\n");
}
