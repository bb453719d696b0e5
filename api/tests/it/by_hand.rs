//! Changes by hand: each a version after the newest, and never over one that was not meant.

use drydock_database::{
    job::Finished,
    report::{Report, StoredPack, StoredTree},
    version::{self, Author, ByHand, Changed},
};
use drydock_domain::{Digest, Outcome, ProjectId, TenantId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, Worker, column, pick, tar};

const FIRST: [(&str, Content<'static>); 3] =
    [("src/a", Content::File(b"a\n")), ("run", Content::Script(b"#!\n")), ("link", Content::Link("src/a"))];

/// A project whose version 1 is [`FIRST`].
async fn project(api: &Api, worker: &Worker) -> String {
    let (project, job) = api.project().await;
    worker.publish(&job, &FIRST).await;
    project
}

async fn send(
    api: &Api,
    method: Method,
    project: &str,
    path: &str,
    body: impl Into<Vec<u8>>,
    headers: &[(&str, &str)],
) -> Answer {
    let request = api.request(method, &format!("/projects/{project}/files/{path}")).body(body.into());
    Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn put(api: &Api, project: &str, path: &str, body: &str) -> Answer {
    send(api, Method::PUT, project, path, body, &[]).await
}

async fn files(api: &Api, project: &str) -> Value {
    let list = api.get(&format!("/projects/{project}/files")).await.expect(200).json();
    column(&list["files"], "path").into()
}

async fn head(api: &Api, project: &str) -> Value {
    api.get(&format!("/projects/{project}")).await.json()["head_version"].clone()
}

#[tokio::test]
async fn a_file_that_is_put_is_in_the_next_version() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let made = put(&api, &project, "docs/new/page.md?mode=755", "hello").await.expect(201);
    let blake3 = blake3::hash(b"hello").to_string();
    let view = json!({"version": 2, "path": "docs/new/page.md", "change": "created", "size": 5, "mode": "0755", "blake3": blake3});
    assert_eq!((made.json(), made.header("etag")), (view, Some("\"2\"")));
    assert_eq!(files(&api, &project).await, json!(["docs/new/page.md", "link", "run", "src/a"]));
    let read = api.get(&format!("/projects/{project}/files/docs/new/page.md")).await;
    assert_eq!((read.body.as_slice(), read.header("etag").unwrap()), (&b"hello"[..], format!("\"{blake3}\"").as_str()));
    let version = api.get(&format!("/projects/{project}/versions")).await.json()["items"][0].clone();
    let told = pick(&version, "number parent author_kind author_id file_count total_bytes");
    assert_eq!(told, json!([2, 1, "user", project, 4, 10]));
    // A mode that is not given stays; the older version is as it was.
    let other = put(&api, &project, "run", "#!/bin/sh\n").await.expect(200).json();
    assert_eq!(pick(&other, "version change mode"), json!([3, "modified", "0755"]));
    let same = put(&api, &project, "run", "#!/bin/sh\n").await.expect(200).json();
    assert_eq!(pick(&same, "version change"), json!([3, "unchanged"]));
    assert_eq!(
        pick(&put(&api, &project, "run?mode=0644", "#!/bin/sh\n").await.expect(200).json(), "version change mode"),
        json!([4, "modified", "0644"])
    );
    assert_eq!(api.get(&format!("/projects/{project}/files/run?version=1")).await.body, b"#!\n");
    let objects: i64 =
        api.database.client().await.unwrap().query_one("SELECT count(*) FROM pack", &[]).await.unwrap().get(0);
    assert_eq!(
        objects, 2,
        "small changes are stored in the rows: there is the pack and the manifest of version 1 alone"
    );
}

#[tokio::test]
async fn big_files_and_empty_projects_take_them_too() {
    let api = Api::start_with(&["--file-limit", "3000000"]).await;
    let (project, _) = api.project().await;
    let big: Vec<u8> = (0..2_500_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let made = send(&api, Method::PUT, &project, "data/big.bin", big.clone(), &[]).await.expect(201).json();
    assert_eq!(pick(&made, "version size mode"), json!([1, 2_500_000, "0644"]));
    let again: Vec<u8> = big.iter().rev().copied().collect();
    send(&api, Method::PUT, &project, "data/big.bin", again.clone(), &[]).await.expect(200);
    assert!(api.get(&format!("/projects/{project}/files/data/big.bin")).await.body == again);
    assert!(api.get(&format!("/projects/{project}/files/data/big.bin?version=1")).await.body == big);
    assert_eq!(api.get("/limits").await.json()["file_bytes"], 3_000_000);
    let answer = send(&api, Method::PUT, &project, "more", vec![7; 3_000_001], &[]).await.expect(413);
    assert_eq!(answer.error(), ("payload_too_large".to_owned(), json!("The file should have at most 3000000 bytes")));
}

#[tokio::test]
async fn deleting_takes_a_file_or_all_below_a_directory() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let delete = async |path: &str| send(&api, Method::DELETE, &project, path, "", &[]).await;
    let gone = delete("link").await.expect(200);
    assert_eq!(gone.json(), json!({"version": 2, "path": "link", "change": "deleted"}));
    assert_eq!(gone.header("etag"), Some("\"2\""));
    assert_eq!(delete("link").await.expect(404).error().1, "File not found");
    assert!(delete("src").await.expect(409).error().1.as_str().unwrap().contains("recursive=true"));
    put(&api, &project, "src/deep/b", "b").await.expect(201);
    assert_eq!(delete("src?recursive=true").await.expect(200).json()["version"], 4);
    assert_eq!(files(&api, &project).await, json!(["run"]));
    assert_eq!(delete("run").await.expect(200).json()["version"], 5);
    assert_eq!(files(&api, &project).await, json!([]));
}

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    for (path, status, words) in [
        ("run/x", 409, "'run' is a file"),
        ("src", 409, "'src' is a directory"),
        ("link", 409, "'link' is a symbolic link"),
        ("link/x", 409, "'link' is a symbolic link"),
        (".codex/result.json", 409, "written by the fleet"),
        ("..%2fx", 400, "Invalid path"),
        ("%252e%252e/x", 400, "Invalid path"),
        ("c:/x", 400, "Invalid path"),
        ("a%00b", 400, "Invalid path"),
    ] {
        let detail = put(&api, &project, path, "x").await.expect(status).error().1;
        assert!(detail.as_str().unwrap().contains(words), "{path}: {detail}");
        if status == 400 || path.starts_with('.') {
            send(&api, Method::DELETE, &project, path, "", &[]).await.expect(status);
        }
    }
    for query in ["mode=rwx", "mode=1777", "mode=7", "mode=0888", "while_running=yes", "x=1"] {
        let faults = put(&api, &project, &format!("f?{query}"), "x").await.expect(422).faults();
        assert!(faults[0].starts_with(query.split('=').next().unwrap()), "{query}: {faults:?}");
    }
    let nobody = "00000000-0000-0000-0000-000000000009";
    assert_eq!(put(&api, nobody, "x", "x").await.expect(404).error().1, "Project not found");
    assert_eq!(head(&api, &project).await, 1, "nothing was made");
}

#[tokio::test]
async fn a_change_follows_the_state_that_was_meant() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let with = async |method, path, name, value| send(&api, method, &project, path, "x", &[(name, value)]).await;
    let tag = api.get(&format!("/projects/{project}/files/src/a")).await.header("etag").unwrap().to_owned();
    for other in ["\"0\"", "1", "W/\"1\"", "\"x\""] {
        let answer = with(Method::PUT, "src/a", "if-match", other).await.expect(412);
        let detail = "The newest version is 1: look at it, then send If-Match: \"1\"";
        assert_eq!(answer.error(), ("precondition_failed".to_owned(), json!(detail)), "{other}");
        with(Method::DELETE, "src/a", "if-match", other).await.expect(412);
    }
    with(Method::PUT, "run", "if-match", &tag).await.expect(412);
    with(Method::PUT, "run", "if-none-match", "*").await.expect(412);
    with(Method::PUT, "new", "if-none-match", "*").await.expect(201);
    assert_eq!(with(Method::PUT, "src/a", "if-match", &tag).await.expect(200).json()["version"], 3);
    with(Method::PUT, "src/a", "if-match", &tag).await.expect(412);
    with(Method::DELETE, "src/a", "if-match", "\"2\", \"3\"").await.expect(200);
    assert_eq!(head(&api, &project).await, 4);
}

/// All are told a version of their own, and the last has all of them: none was written over.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_race_all_count() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let puts = (0..4).map(|n| {
        let (api, project) = (&api, &project);
        async move { put(api, project, &format!("f{n}"), "x").await.expect(201).json()["version"].as_i64().unwrap() }
    });
    let mut versions = futures_util::future::join_all(puts).await;
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4, 5]);
    assert_eq!(files(&api, &project).await, json!(["f0", "f1", "f2", "f3", "link", "run", "src/a"]));
    let asked = (0..4).map(|n| {
        let (api, project, path) = (&api, &project, format!("g{n}"));
        async move { send(api, Method::PUT, project, &path, "x", &[("if-match", "\"5\"")]).await.status }
    });
    let mut told = futures_util::future::join_all(asked).await;
    told.sort_unstable();
    assert_eq!(told, [201, 412, 412, 412], "one may follow version 5");
}

#[tokio::test]
async fn a_job_at_work_is_not_disturbed_unless_that_is_meant() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let reader = api.job(&project, json!({"job_type": "edit", "instruction": "look", "read_only": true})).await;
    worker.claim(&reader).await;
    put(&api, &project, "beside", "a reader").await.expect(201);
    let job = api.job(&project, json!({"job_type": "edit", "instruction": "change"})).await;
    put(&api, &project, "before", "it is claimed").await.expect(201);
    let attempt = worker.claim(&job).await;
    for (method, path) in [(Method::PUT, "x"), (Method::DELETE, "run")] {
        let detail = send(&api, method, &project, path, "x", &[]).await.expect(409).error().1;
        assert!(
            detail.as_str().unwrap().starts_with(&format!("Job {job} is changing this project's files")),
            "{detail}"
        );
    }
    let archive = tar(&[("x", Content::File(b"x"))]);
    let patch = api.request(Method::PATCH, &format!("/projects/{project}/files")).body(archive);
    Answer::of(patch).await.expect(409);
    assert_eq!(put(&api, &project, "x?while_running=true", "x").await.expect(201).json()["version"], 4);
    let done = worker.try_finish(&job, attempt, Outcome::Succeeded, &Report::default(), Some(&FIRST)).await;
    assert_eq!(done, Finished::Conflict, "it runs again on the new version");
    assert_eq!(head(&api, &project).await, 4);
    put(&api, &project, "y", "while it waits to run again").await.expect(201);
    worker.publish(&job, &FIRST).await;
    assert_eq!(head(&api, &project).await, 6);
}

/// What decides is the moment of the commit, whatever was seen before.
#[tokio::test]
async fn the_database_itself_holds_a_change_off() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project: ProjectId = project(&api, &worker).await.parse().unwrap();
    let job = api.job(&project.to_string(), json!({"job_type": "edit", "instruction": "change"})).await;
    worker.claim(&job).await;
    let client = api.database.client().await.unwrap();
    let row = client.query_one("SELECT tree_id, manifest_id, pack_ids FROM version", &[]).await.unwrap();
    let hex = |bytes: &[u8]| Digest::try_from(bytes).unwrap().to_string();
    let packs = row.get::<_, Vec<Vec<u8>>>(2).into_iter().map(|id| StoredPack { id: hex(&id), bytes: 1 }).collect();
    let (tree_id, manifest_id) = (hex(row.get(0)), hex(row.get(1)));
    let tree = StoredTree { tree_id, manifest_id, delta: None, packs, file_count: 3, total_bytes: 6 };
    let new = ByHand { project, base: 1, tree, author: Author::User(project.uuid()), while_running: false };
    let ask = async |tenant, new: &ByHand| version::change_files(&client, tenant, new).await.unwrap();
    assert_eq!(ask(TenantId::DEFAULT, &new).await, Changed::Busy(job.parse().unwrap()));
    assert_eq!(ask(TenantId::generate(), &new).await, Changed::NoProject);
    let meant = ByHand { while_running: true, ..new };
    assert_eq!(ask(TenantId::DEFAULT, &ByHand { base: 0, ..meant.clone() }).await, Changed::Moved(1));
    let mut unknown = meant.clone();
    unknown.tree.packs.push(StoredPack { id: Digest::of(b"nothing").to_string(), bytes: 1 });
    assert_eq!(ask(TenantId::DEFAULT, &unknown).await, Changed::Gone);
    assert_eq!(ask(TenantId::DEFAULT, &meant).await, Changed::Made(2));
}

async fn patch(api: &Api, project: &str, archive: Vec<u8>, headers: &[(&str, &str)]) -> Answer {
    let request = api.request(Method::PATCH, &format!("/projects/{project}/files")).body(archive);
    Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// An entry that removes a path, as pax has it.
fn removal(path: &str) -> Vec<u8> {
    let record = "20 DRYDOCK.remove=1\n";
    let mut header = tar(&[("pax", Content::File(record.as_bytes()))]);
    header.truncate(1024);
    header[156] = b'x';
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut entry = tar(&[(path, Content::File(b""))]);
    entry.truncate(512);
    [header, entry].concat()
}

#[tokio::test]
async fn many_files_change_as_one() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let puts = tar(&[
        ("src/a", Content::File(b"other")),
        ("new/deep/b", Content::Script(b"b")),
        ("new/l", Content::Link("deep/b")),
    ]);
    let archive = [removal("link"), puts.clone()].concat();
    let made = patch(&api, &project, archive.clone(), &[("if-match", "\"1\"")]).await.expect(201);
    assert_eq!(made.json(), json!({"version": 2, "parent": 1, "created": 2, "modified": 1, "deleted": 1}));
    assert_eq!(files(&api, &project).await, json!(["new/deep/b", "new/l", "run", "src/a"]));
    assert_eq!(api.get(&format!("/projects/{project}/files/new/l")).await.body, b"b");
    let same = patch(&api, &project, archive, &[("if-match", "\"2\"")]).await.expect(200).json();
    assert_eq!(same, json!({"version": 2, "parent": 2, "created": 0, "modified": 0, "deleted": 0}));
    patch(&api, &project, puts.clone(), &[("if-match", "\"1\"")]).await.expect(412);
    // A directory makes way for a file, and a file for a directory.
    let turned = tar(&[("new", Content::File(b"")), ("run/x", Content::File(b""))]);
    let turned = patch(&api, &project, turned, &[]).await.expect(201).json();
    assert_eq!(pick(&turned, "version created modified deleted"), json!([3, 2, 0, 3]));
    assert_eq!(files(&api, &project).await, json!(["new", "run/x", "src/a"]));
    let (empty, _) = api.project().await;
    let first = patch(&api, &empty, puts, &[("if-match", "\"0\"")]).await.expect(201).json();
    assert_eq!(first, json!({"version": 1, "parent": 0, "created": 3, "modified": 0, "deleted": 0}));
}

#[tokio::test]
async fn an_archive_of_changes_is_refused_whole() {
    let api = Api::start_with(&["--import-limit", "65536"]).await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let project = project(&api, &worker).await;
    let fine = tar(&[("a", Content::File(b"a"))]);
    let late = [tar(&[("a", Content::File(b"a"))])[..1024].to_vec(), removal("a"), vec![0; 1024]].concat();
    for (archive, status, words) in [
        (tar(&[("ok", Content::File(b"a")), ("../a", Content::File(b"a"))]), 400, "../a"),
        (late, 400, "a removal goes first"),
        (b"not an archive".to_vec(), 400, "tar"),
        (fine[..700].to_vec(), 400, ""),
        (tar(&[("big", Content::File(&vec![7; 70_000]))]), 413, "65536"),
    ] {
        let detail = patch(&api, &project, archive, &[]).await.expect(status).error().1;
        assert!(detail.as_str().unwrap().contains(words), "{detail} should say {words}");
    }
    patch(&api, &project, fine.clone(), &[("content-type", "application/json")]).await.expect(415);
    let nobody = "00000000-0000-0000-0000-000000000009";
    patch(&api, nobody, fine, &[]).await.expect(404);
    assert_eq!(head(&api, &project).await, 1, "nothing was made");
}

/// Red when `If-Match: *` is as good as none (RFC 9110 §13.1.1).
#[tokio::test]
async fn a_star_asks_for_a_file_that_is_there() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    Worker::start(&api, &["dummy"]).await.publish(&job, &[("a", Content::File(b"a"))]).await;
    let star = [("if-match", "*")];
    send(&api, Method::PUT, &project, "b", "x", &star).await.expect(412);
    send(&api, Method::PUT, &project, "a", "x", &star).await.expect(200);
}
