//! Versions: compared, listed, restored, forked, and written into a folder.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::Api;

/// A project from a real tree, and its fork with another one on top: ids.
async fn project(api: &Api) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("src")).unwrap();
    fs_err::write(dir.path().join("src/a b"), "one\ntwo\n").unwrap();
    fs_err::write(dir.path().join("raw"), [0, 0xff]).unwrap();
    fs_err::write(dir.path().join("run.sh"), "#!/bin/sh\n").unwrap();
    fs_err::set_permissions(dir.path().join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../run.sh", dir.path().join("src/link")).unwrap();
    let words = ["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"];
    api.drydock_with(&words).ok().await.line()
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_counted_and_named() {
    let api = Api::start().await;
    let project = project(&api).await;
    let stat = api.drydock(&format!("diff {project} 0 1 --stat")).ok().await.text();
    let expected = "created       raw  binary\ncreated       run.sh  +1 -0\ncreated       src/a b  +2 -0\n\
                    created       src/link  +1 -0\n4 files changed, 4 insertions(+), 0 deletions(-)\n";
    assert_eq!(stat, expected);
    let names = api.drydock(&format!("diff {project} 1 0 --name-only --path src")).ok().await.text();
    assert_eq!(names, "src/a b\nsrc/link\n");
    let patch = api.drydock(&format!("diff {project} 0 1")).ok().await.says("1 files are not in the patch");
    assert!(patch.text().starts_with("# created raw: binary\ndiff --git a/run.sh b/run.sh\n"), "no colours in a pipe");
    let same = api.drydock(&format!("project diff {project} 0 1")).ok().await;
    assert_eq!(same.out, patch.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_restored_and_forked() {
    let api = Api::start().await;
    let project = project(&api).await;
    let restored = api.drydock(&format!("restore {project} 1")).ok().await.says("version 1 has the files of version 1");
    assert_eq!(restored.line(), "1");
    api.drydock(&format!("restore {project} 7")).end().await.exit(4);
    let fork = api.drydock(&format!("fork {project} --label a=b")).ok().await.says("forked project").line();
    assert_ne!(fork, project);
    let empty = api.drydock_with(&["fork", &project, "--version", "0", "-i", "start anew"]).ok().await.line();
    assert!(api.get(&format!("/projects/{empty}")).await.contains("\"instruction\":\"start anew\""));
    let history = api.drydock(&format!("versions {fork}")).ok().await.text();
    let line = history.lines().nth(1).unwrap();
    assert!(line.contains(" fork ") && line.ends_with(&format!("of {project} version 1")), "{history}");
    let client = api.database.client().await.unwrap();
    let older = "INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
                 SELECT project_id, 2, 1, sha256(tree_id), manifest_id, pack_ids, file_count, total_bytes, 'user', project_id FROM version
                  WHERE project_id = $1::text::uuid";
    client.execute(older, &[&project]).await.unwrap();
    client.execute("UPDATE project SET head_version = 2 WHERE id = $1::text::uuid", &[&project]).await.unwrap();
    api.drydock(&format!("restore {project} 1 --if-newest 1")).end().await.exit(5).says("The newest version is 2");
    assert_eq!(api.drydock(&format!("restore {project} 1")).ok().await.line(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_written_into_a_folder() {
    let api = Api::start().await;
    let project = project(&api).await;
    let (parent, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = parent.path().join("new/folder");
    let folder = dir.to_str().unwrap();
    let pulled = api.drydock_with(&["pull", &project, folder]).ok().await.says("wrote version 1");
    assert_eq!(pulled.line(), "1");
    assert_eq!(fs_err::read(dir.join("raw")).unwrap(), [0, 0xff]);
    assert_eq!(fs_err::read_to_string(dir.join("src/a b")).unwrap(), "one\ntwo\n");
    assert_eq!(fs_err::read_link(dir.join("src/link")).unwrap(), std::path::Path::new("../run.sh"));
    assert_eq!(fs_err::metadata(dir.join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    api.drydock_with(&["pull", &project, folder]).end().await.exit(5).says("--force");
    // Files are replaced, others stay, and a link that stands where a file goes is not written through.
    let victim = outside.path().join("victim");
    fs_err::write(&victim, "untouched").unwrap();
    fs_err::write(dir.join("mine"), "mine").unwrap();
    fs_err::remove_file(dir.join("raw")).unwrap();
    symlink(&victim, dir.join("raw")).unwrap();
    api.drydock_with(&["pull", &project, folder, "--force"]).ok().await;
    assert_eq!(fs_err::read(dir.join("raw")).unwrap(), [0, 0xff]);
    assert_eq!(
        (fs_err::read_to_string(&victim).unwrap(), fs_err::read_to_string(dir.join("mine")).unwrap()),
        ("untouched".to_owned(), "mine".to_owned())
    );
    // A directory that is a link leads out.
    fs_err::remove_dir_all(dir.join("src")).unwrap();
    symlink(outside.path(), dir.join("src")).unwrap();
    api.drydock_with(&["pull", &project, folder, "--force"]).end().await.exit(1).says("no directory");
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 1);
    let part = parent.path().join("part");
    api.drydock_with(&["project", "pull", &project, part.to_str().unwrap(), "--path", "src", "--version", "1"])
        .ok()
        .await;
    assert_eq!(fs_err::read_dir(&part).unwrap().count(), 1);
    api.drydock_with(&["pull", &project, part.to_str().unwrap(), "--force", "--version", "9"]).end().await.exit(4);
}
