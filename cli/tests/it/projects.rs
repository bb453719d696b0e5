//! Projects: a real tree goes in and comes out, as people and as programs want it.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use drydock_domain::Outcome;

use crate::{harness::Api, worker::Worker};

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("src")).unwrap();
    fs_err::create_dir(dir.path().join("target")).unwrap();
    fs_err::write(dir.path().join("src/raw.bin"), [0, 0xff, b'\n', 7]).unwrap();
    fs_err::write(dir.path().join("target/left-out"), "x").unwrap();
    fs_err::write(dir.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs_err::set_permissions(dir.path().join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../run.sh", dir.path().join("src/link")).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_comes_back_byte_for_byte() {
    let api = Api::start().await;
    let dir = tree();
    let source = dir.path().to_str().unwrap();
    let words = ["project", "import", source, "-i", "keep this", "--exclude", "target", "--label", "a=b"];
    let imported = api.drydock_with(&words).ok().await.says("imported 3 files");
    let project = imported.line();
    let files = api.drydock(&format!("project files {project}")).ok().await.text();
    assert_eq!(
        files,
        "MODE  SIZE  PATH\n0755  10    run.sh\n0777  9     src/link -> ../run.sh\n0644  4     src/raw.bin\n"
    );
    let raw = api.drydock(&format!("project cat {project} src/raw.bin --version 1")).ok().await;
    assert_eq!(raw.out, [0, 0xff, b'\n', 7]);
    let diff = api.drydock(&format!("project diff {project} 0 1")).ok().await.text();
    assert!(
        diff.contains("+++ b/run.sh\n@@ -0,0 +1 @@\n+#!/bin/sh\n") && diff.contains("new file mode 100755"),
        "{diff}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_directory_ignores_is_not_imported_and_counted() {
    let api = Api::start().await;
    let dir = tree();
    fs_err::write(dir.path().join(".drydockignore"), "target/\n*.bin\n[z-a]\n").unwrap();
    let words = ["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"];
    let imported = api.drydock_with(&words).ok().await.says("imported 3 files").says("without 2 ignored");
    let project = imported.says(".drydockignore line 3 is not heeded").line();
    let files = api.drydock(&format!("project files {project}")).ok().await.text();
    let names: Vec<&str> = files.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(names, [".drydockignore", "run.sh", "src/link"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_shown_to_people_and_programs() {
    let api = Api::start().await;
    let dir = tree();
    let words = ["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"];
    let project = api.drydock_with(&words).ok().await.line();
    let versions = api.drydock(&format!("project versions {project}")).ok().await.text();
    assert!(versions.lines().nth(1).unwrap().starts_with("1        4      0.0 MiB  "), "{versions}");
    let shown = api.drydock(&format!("project show {project}")).ok().await.text();
    assert!(shown.contains("instruction  keep this\n") && shown.contains("version      1\n"), "{shown}");
    for (line, path) in [
        (format!("project show {project} --json"), format!("/projects/{project}")),
        (format!("--json project files {project}"), format!("/projects/{project}/files")),
        (format!("--json project versions {project}"), format!("/projects/{project}/versions")),
        (format!("--json project diff {project} 0 1"), format!("/projects/{project}/versions/0/diff/1")),
        ("--json project ls".to_owned(), "/projects".to_owned()),
    ] {
        assert_eq!(api.drydock(&line).ok().await.line(), api.get(&path).await, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_sent_as_it_is() {
    let api = Api::start().await;
    let dir = tree();
    let archive = dir.path().join("tree.tar");
    let mut tar = tokio::process::Command::new("tar");
    tar.arg("-czf").arg(&archive).args(["run.sh", "src"]).current_dir(dir.path());
    assert!(tar.status().await.unwrap().success());
    let source = archive.to_str().unwrap();
    let project = api.drydock_with(&["-q", "project", "import", source, "-i", "keep this"]).ok().await;
    assert!(project.err.is_empty(), "{}", project.err);
    let files = api.drydock(&format!("project files {}", project.line())).ok().await.text();
    assert_eq!(files.lines().count(), 4, "{files}");
    fs_err::write(&archive, "this is no archive").unwrap();
    api.drydock_with(&["project", "import", source, "-i", "keep this"]).end().await.exit(2);
    api.drydock_with(&["project", "import", "/nowhere/at/all", "-i", "keep this"])
        .end()
        .await
        .exit(2)
        .says("/nowhere/at/all");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_waits_for_the_first_job() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    for (outcome, code) in [(Outcome::Succeeded, 0), (Outcome::Failed, 1)] {
        let child = api.drydock("--json project create --wait 20s --instruction thingy").start();
        let job = drydock_testing::until("the job is there", crate::harness::PATIENCE, async || {
            let list = api.drydock("--json job ls --status queued").ok().await.json();
            Some(list["items"][0]["id"].as_str()?.to_owned())
        })
        .await;
        worker.end(&job, outcome).await;
        let ended = crate::harness::Ended::of(child).await.exit(code);
        let project = ended.json();
        assert_eq!(ended.line(), api.get(&format!("/projects/{}", project["id"].as_str().unwrap())).await);
        assert!(
            ended.err.contains(&format!("{job} {}", if code == 0 { "completed" } else { "error" })),
            "{}",
            ended.err
        );
    }
    api.drydock("project create thingy --wait 300ms").end().await.exit(7).says("drydock job wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_and_are_shown() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let project = api.drydock("project create thingy").ok().await.line();
    let words = ["project", "set", &project, "--pool", "gpu", "--label", "team=web", "--min-isolation", "landlock"];
    let shown = api.drydock_with(&words).ok().await.says("changed project").text();
    assert!(shown.contains("pool         gpu\nlabel        team=web\nisolation    at least landlock\n"), "{shown}");
    let bare = api.drydock(&format!("project set {project} --no-labels")).ok().await.text();
    assert!(!bare.contains("label ") && bare.contains("pool         gpu\n"), "{bare}");
    let set = api.drydock(&format!("--json project set {project} -i others")).ok().await.line();
    assert_eq!(set, api.get(&format!("/projects/{project}")).await);
    api.drydock(&format!("project set {project}")).end().await.exit(2).says("--instruction");
    api.drydock(&format!("project set {project} --pool a/b")).end().await.exit(2).says("pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let table = api.drydock("workers").ok().await.text();
    let row = table.lines().nth(1).unwrap_or_default();
    assert!(row.contains("default  live   0/4   dummy") && row.contains("test-"), "{table}");
    assert_eq!(api.drydock("--json workers").ok().await.line(), api.get("/workers").await);
    assert_eq!(api.drydock("workers --pool gpu").ok().await.text().lines().count(), 1, "the heading");
}
