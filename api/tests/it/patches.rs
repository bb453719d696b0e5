//! Patches: `git apply` turns an export of one version into the other, whatever the names, kinds and ends of lines.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::harness::{Api, Content, Worker, column, pick};

type Files<'a> = Vec<(&'a str, Content<'a>)>;

/// A project whose versions from 1 on have these files.
async fn project(api: &Api, versions: &[Files<'_>]) -> String {
    let worker = Worker::start(api, &["dummy"]).await;
    let (project, first) = api.project().await;
    worker.publish(&first, &versions[0]).await;
    for files in &versions[1..] {
        let job = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
        worker.publish(&job, files).await;
    }
    project
}

/// What is at a path: a file's content and whether it can be executed, or a link's target.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
}

fn tree(dir: &Path) -> BTreeMap<Vec<u8>, Found> {
    use std::os::unix::ffi::OsStrExt as _;
    let (mut found, mut ahead) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(at) = ahead.pop() {
        for entry in fs_err::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().as_os_str().as_bytes().to_vec();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                ahead.push(path);
            } else if metadata.is_symlink() {
                found.insert(name, Found::Link(fs_err::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()));
            } else {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                found.insert(name, Found::File(fs_err::read(&path).unwrap(), executable));
            }
        }
    }
    found
}

/// Runs a program in `dir` with `input`.
async fn run(dir: &Path, program: &[&str], input: &[u8]) {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).current_dir(dir).env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap());
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {said}\n{}", String::from_utf8_lossy(input));
}

async fn export(api: &Api, project: &str, version: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = api.get(&format!("/projects/{project}/archive?version={version}")).await.expect(200);
    run(dir.path(), &["tar", "-xf", "-"], &archive.body).await;
    dir
}

async fn patch(api: &Api, project: &str, from: u32, to: u32) -> Vec<u8> {
    let path = format!("/projects/{project}/versions/{from}/diff/{to}");
    let answer = api.get_with(&path, &[("accept", "text/x-diff")]).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/x-diff; charset=utf-8"));
    answer.body
}

/// The patch between the two, given to git, makes one of the other.
async fn applies(api: &Api, project: &str, from: u32, to: u32) {
    let (dir, expected) = (export(api, project, from).await, export(api, project, to).await);
    let patch = patch(api, project, from, to).await;
    if !patch.is_empty() {
        run(dir.path(), &["git", "apply", "--whitespace=nowarn", "-"], &patch).await;
    }
    let (made, expected) = (tree(dir.path()), tree(expected.path()));
    assert_eq!(made, expected, "{from} to {to}:\n{}", String::from_utf8_lossy(&patch));
}

const POEM: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n";
const EDITED: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nzehn";

fn before() -> Files<'static> {
    vec![
        ("a b/with space", Content::File(b"1\n2\n3\n")),
        ("back\\slash", Content::File(b"x\n")),
        ("deep/er/moved", Content::File(b"the same\n")),
        ("dir-to-file/in", Content::File(b"in\n")),
        ("ends", Content::File(b"with a newline\n")),
        ("file-to-dir", Content::File(b"file\n")),
        ("file-to-link", Content::File(b"file\n")),
        ("gone", Content::File(b"gone\n")),
        ("gone-empty", Content::File(b"")),
        ("latin", Content::File(b"caf\xe9\n")),
        ("link", Content::Link("a b/with space")),
        ("link-to-file", Content::Link("nowhere")),
        ("lone\rreturn", Content::File(b"a\rb\r\nc\r")),
        ("mode", Content::File(b"#!/bin/sh\n")),
        ("moved-link", Content::Link("some/where")),
        ("new\nline", Content::File(b"1\n")),
        ("poem", Content::File(POEM.as_bytes())),
        ("say \"hi\"", Content::File(b"hi\n")),
        ("tab\there", Content::File(b"\t\n")),
        ("ü/日本", Content::File("größe\n".as_bytes())),
    ]
}

fn after() -> Files<'static> {
    vec![
        ("a b/with space", Content::File(b"1\nzwei\n3\n")),
        ("back\\slash", Content::Script(b"y\n")),
        ("dir-to-file", Content::File(b"file\n")),
        ("else/where/moved", Content::File(b"the same\n")),
        ("ends", Content::File(b"with a newline\nno more")),
        ("file-to-dir/in", Content::File(b"another\n")),
        ("file-to-link", Content::Link("ends")),
        ("latin", Content::File(b"caf\xe9s\n")),
        ("link", Content::Link("mode")),
        ("link-to-file", Content::File(b"file\n")),
        ("lone\rreturn", Content::File(b"a\rB\r\nc\rd")),
        ("mode", Content::Script(b"#!/bin/sh\n")),
        ("moved-link-2", Content::Link("some/where")),
        ("new", Content::File(b"no newline at the end")),
        ("new\nline", Content::File(b"2\n")),
        ("new-empty", Content::File(b"")),
        ("poems/poem", Content::File(EDITED.as_bytes())),
        ("say \"hi\" again", Content::File(b"hi\n")),
        ("tab\tthere", Content::Script(b"\t\n")),
        ("ü/日本", Content::File("GRÖSSE\n".as_bytes())),
    ]
}

#[tokio::test]
async fn git_makes_one_version_of_the_other() {
    let api = Api::start().await;
    let project = project(&api, &[before(), after()]).await;
    for (from, to) in [(1, 2), (2, 1), (0, 1), (2, 0), (1, 1)] {
        applies(&api, &project, from, to).await;
    }
}

/// Small trees of few names and few lines, so that everything meets everything.
#[tokio::test]
async fn git_makes_one_random_version_of_the_other() {
    const NAMES: [&str; 8] = ["a", "a b", "b/a", "b/c/d", "b/c/ü", "c", "d/\"", "e"];
    const LINES: [&[u8]; 6] = [b"one\n", b"two\n", b"\n", b"\r\n", b"three \xff\n", b"end"];
    let seed = rand::random();
    let mut random = SmallRng::seed_from_u64(seed);
    let contents: Vec<Vec<u8>> = (0..24)
        .map(|_| {
            (0..random.random_range(1..9)).flat_map(|_| LINES[random.random_range(0..LINES.len())]).copied().collect()
        })
        .collect();
    let mut versions: Vec<Files<'_>> = Vec::new();
    for _ in 0..8 {
        let mut files: Files<'_> = vec![("keep", Content::File(b"keep\n"))];
        for name in NAMES {
            let content = &contents[random.random_range(0..contents.len())];
            match random.random_range(0..6) {
                0 | 1 => files.push((name, Content::File(content))),
                2 => files.push((name, Content::Script(content))),
                3 => files.push((name, Content::Link(NAMES[random.random_range(0..NAMES.len())]))),
                _ => {}
            }
        }
        versions.push(files);
    }
    let api = Api::start().await;
    let project = project(&api, &versions).await;
    println!("seed {seed}");
    let newest = api.get(&format!("/projects/{project}")).await.json()["head_version"].as_u64().unwrap();
    let newest = u32::try_from(newest).unwrap();
    for from in 1..=newest {
        applies(&api, &project, from, if from == newest { 1 } else { from + 1 }).await;
    }
}

#[tokio::test]
async fn each_change_has_its_kind() {
    let api = Api::start().await;
    let project = project(&api, &[before(), after()]).await;
    let diff = api.get(&format!("/projects/{project}/versions/1/diff/2")).await.expect(200).json();
    let told = |path: &str, names: &str| {
        let files = diff["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path} in {diff}"));
        pick(file, names)
    };
    let shown = "change old_path similarity old_mode new_mode additions deletions omitted";
    for (path, expected) in [
        ("a b/with space", json!(["modified", null, null, "100644", "100644", 1, 1, null])),
        ("back\\slash", json!(["modified", null, null, "100644", "100755", 1, 1, null])),
        ("else/where/moved", json!(["renamed", "deep/er/moved", 100, "100644", "100644", 0, 0, null])),
        ("file-to-link", json!(["type_changed", null, null, "100644", "120000", 1, 1, null])),
        ("gone", json!(["deleted", null, null, "100644", null, 0, 1, null])),
        ("gone-empty", json!(["deleted", null, null, "100644", null, 0, 0, null])),
        ("latin", json!(["modified", null, null, "100644", "100644", 1, 1, "not_utf8"])),
        ("link", json!(["modified", null, null, "120000", "120000", 1, 1, null])),
        ("mode", json!(["mode_changed", null, null, "100644", "100755", 0, 0, null])),
        ("moved-link-2", json!(["renamed", "moved-link", 100, "120000", "120000", 0, 0, null])),
        ("new", json!(["created", null, null, null, "100644", 1, 0, null])),
        ("poems/poem", json!(["renamed", "poem", 91, "100644", "100644", 1, 1, null])),
        ("tab\tthere", json!(["renamed", "tab\there", 100, "100644", "100755", 0, 0, null])),
    ] {
        assert_eq!(told(path, shown), expected, "{path}");
    }
    assert_eq!(diff["omitted"], json!({"not_utf8": 1}));
    assert_eq!((&diff["renames_limited"], diff.get("next_cursor")), (&json!(false), None));
    assert_eq!(diff["total"].as_u64().unwrap(), diff["files"].as_array().unwrap().len() as u64);
}

#[tokio::test]
async fn a_comparison_comes_in_parts() {
    let api = Api::start().await;
    let project = project(&api, &[before(), after()]).await;
    let path = format!("/projects/{project}/versions/1/diff/2");
    let whole = api.get(&path).await.expect(200).json();
    let mut seen: Vec<Value> = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = api.get(&format!("{path}?{query}")).await.expect(200).json();
        assert_eq!(page["total"], whole["total"]);
        seen.extend(page["files"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=3&cursor={cursor}");
    }
    assert_eq!(json!(seen), whole["files"]);
    let list = api.get(&format!("{path}?patch=false")).await.expect(200).json();
    assert_eq!((column(&list["files"], "path"), &list["total"]), (column(&whole["files"], "path"), &whole["total"]));
    assert!(
        list["files"].as_array().unwrap().iter().all(|file| pick(file, "diff omitted") == json!([null, "not_asked"]))
    );
    for (below, expected) in [
        ("poems", vec![json!(["poems/poem", "created"])]),
        ("a%20b/with%20space", vec![json!(["a b/with space", "modified"])]),
        ("file-to-dir", vec![json!(["file-to-dir", "deleted"]), json!(["file-to-dir/in", "created"])]),
        ("file-to", vec![]),
    ] {
        let part = api.get(&format!("{path}?path={below}")).await.expect(200).json();
        let told: Vec<Value> = part["files"].as_array().unwrap().iter().map(|file| pick(file, "path change")).collect();
        assert_eq!(told, expected, "{below}");
    }
    assert_eq!(api.get(&format!("{path}?path=../x")).await.expect(400).error().1, "Invalid path");
    let bad = api.get(&format!("{path}?patch=x&limit=0&cursor=!&y=")).await.expect(422);
    let expected = ["patch: enum", "limit: greater_than_equal", "cursor: value_error", "y: extra_forbidden"];
    assert_eq!(bad.faults(), expected);
}

/// More files came and went than are compared with each other: those with the same content are renames still, and it is said.
#[tokio::test]
async fn renames_are_bounded() {
    let names: Vec<(String, String)> = (0..202).map(|at| (format!("old/{at:03}"), format!("new/{at:03}"))).collect();
    let contents: Vec<(String, String)> =
        (0..202).map(|at| (format!("{POEM}{at:03}\n"), format!("{POEM}{at:03} changed\n"))).collect();
    let both = |count: usize| -> [Files<'_>; 2] {
        let files = names.iter().zip(&contents).take(count);
        let (mut old, mut new): (Files<'_>, Files<'_>) = files
            .map(|((was, is), (before, after))| {
                ((was.as_str(), Content::File(before.as_bytes())), (is.as_str(), Content::File(after.as_bytes())))
            })
            .unzip();
        old.push(("same-1", Content::File(b"same\n")));
        new.push(("same-2", Content::File(b"same\n")));
        [old, new]
    };
    let api = Api::start().await;
    for (count, limited) in [(200, false), (201, true)] {
        let project = project(&api, &both(count)).await;
        let diff = api.get(&format!("/projects/{project}/versions/1/diff/2")).await.expect(200).json();
        assert_eq!(diff["renames_limited"], limited, "{count}");
        let renamed = column(&diff["files"], "change").iter().filter(|change| **change == "renamed").count();
        assert_eq!(renamed, if limited { 1 } else { count + 1 }, "{count}");
    }
}
