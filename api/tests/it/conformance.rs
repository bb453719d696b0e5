//! The running API against its own document: Schemathesis sends requests that fit the document and ones that do not, and every answer
//! must be one that the document has, with its type and schema. What it is told is in `tests/conformance`.

use std::{collections::BTreeMap, path::Path};

use drydock_database::report::Report;
use drydock_domain::Outcome;
use drydock_testing::setting;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Answer, Api, Content, Worker};

/// Requests of each operation in the phase that is by chance; those of the others follow from the document.
const EXAMPLES: &str = "15";
/// What there is something of to be removed.
const REMOVALS: [&str; 4] = ["keys", "projects", "schedules", "webhooks"];
/// The first key ends the open mode, so who has none makes none.
const MAKE_KEYS: [&str; 2] = ["create_key", "create_tenant"];

#[tokio::test]
async fn without_keys_every_answer_is_one_of_the_document() {
    let api = start().await;
    let ids = things(&api, None).await;
    conform(&api, None, &ids).await;
    let whoami = api.get("/whoami").await.expect(200).json();
    assert!(whoami["key"].is_null(), "a key was made, and the rest of the run was refused: {whoami}");
}

#[tokio::test]
async fn with_a_key_every_answer_is_one_of_the_document() {
    let api = start().await;
    let first = api.post("/keys", &json!({"name": "first", "role": "admin"})).await.expect(201);
    let key = first.text("key");
    let mut ids = things(&api, Some(&key)).await;
    let spare = post(&api, Some(&key), "/keys", json!({"name": "spare", "role": "member"})).await.expect(201);
    ids["keys"] = json!([spare.text("id")]);
    let unused = post(&api, Some(&key), "/keys", json!({"name": "unused", "role": "viewer"})).await.expect(201);
    ids["spare"]["keys"] = json!([unused.text("id")]);
    let tenant = post(&api, Some(&key), "/tenants", json!({"name": "another"})).await.expect(201);
    ids["tenants"] = json!([tenant.text("id")]);
    conform(&api, Some(&key), &ids).await;
}

async fn start() -> Api {
    Api::start_with(&["--wait-limit", "1s"]).await
}

async fn post(api: &Api, key: Option<&str>, path: &str, body: Value) -> Answer {
    let request = api.request(reqwest::Method::POST, path).json(&body);
    Answer::of(key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)).await
}

/// One of each, so that requests reach what lies behind a 404: ids by collection.
async fn things(api: &Api, key: Option<&str>) -> Value {
    let make = async |path: &str, body: Value| {
        let answer = post(api, key, path, body).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer
    };
    let made = make("/projects", json!({"instruction": "build a thing"})).await;
    let (project, ended) = (made.text("id"), made.text("job_id"));
    let worker = Worker::start(api, &["dummy"]).await;
    let attempt = worker.claim(&ended).await;
    worker.log(attempt, 0, 0, b"a line\nand more\n").await;
    let files = [
        ("README.md", Content::File(b"hello")),
        ("raw.bin", Content::File(b"\xff\x00")),
        ("spare-1", Content::File(b"1")),
        ("spare-2", Content::File(b"2")),
        ("spare-3", Content::File(b"3")),
    ];
    worker.finish(&ended, attempt, Outcome::Succeeded, &Report::default(), Some(&files)).await;
    let job = json!({"job_type": "edit", "instruction": "change it"});
    let waits = make(&format!("/projects/{project}/jobs"), job.clone()).await.text("id");
    let schedule = json!({"name": "n", "project_id": project, "cron": "@daily", "job": job});
    let schedule = make("/schedules", schedule).await.text("id");
    let batch = make("/batches", json!({"name": "many"})).await.text("id");
    let webhook = make("/webhooks", json!({"name": "n", "url": "https://1.1.1.1/hook"})).await.text("id");
    let delivery = make(&format!("/webhooks/{webhook}/test"), json!({})).await.text("id");
    let mut spare =
        json!({"projects": [], "schedules": [], "webhooks": [], "files": ["spare-1", "spare-2", "spare-3"]});
    for n in 0..3 {
        let project = make("/projects", json!({"instruction": "build a thing"})).await.text("id");
        let schedule = json!({"name": format!("spare {n}"), "project_id": project, "cron": "@daily", "job": job});
        let webhook = json!({"name": "n", "url": "https://1.1.1.1/hook"});
        for (kind, id) in [
            ("schedules", make("/schedules", schedule).await.text("id")),
            ("webhooks", make("/webhooks", webhook).await.text("id")),
            ("projects", make("/projects", json!({"instruction": "build a thing"})).await.text("id")),
        ] {
            spare[kind].as_array_mut().unwrap().push(id.into());
        }
    }
    let user = make("/users", json!({"name": "Eve", "email": "eve@example.org", "role": "member"})).await.text("id");
    json!({
        "projects": [project], "jobs": [ended, waits], "schedules": [schedule], "batches": [batch],
        "webhooks": [webhook], "deliveries": [delivery], "users": [user], "spare": spare,
    })
}

/// Runs Schemathesis; what it says of a failure has the request to repeat it with.
async fn conform(api: &Api, key: Option<&str>, ids: &Value) {
    let program = Path::new(&setting("DRYDOCK_TEST_PYTHON_BIN")).join("schemathesis");
    let seen = tempfile::NamedTempFile::new().unwrap();
    let told = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut run = Command::new(program);
    run.args(["--config-file", "schemathesis.toml", "run", "--max-examples", EXAMPLES])
        .arg(format!("http://{}/openapi.json", api.address))
        .current_dir(told)
        .env("CONFORMANCE_IDS", ids.to_string())
        .env("CONFORMANCE_SEEN", seen.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true);
    match key {
        Some(key) => run.env("CONFORMANCE_KEY", key),
        None => run.args(MAKE_KEYS.iter().flat_map(|name| ["--exclude-operation-id", name])),
    };
    let run = run.output().await.expect("Schemathesis is installed: deploy/local/python.sh does it");
    let said = String::from_utf8_lossy(&run.stdout);
    let passed = said.contains(" passed") && said.contains("Test cases:");
    assert!(run.status.success() && passed, "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let seen: BTreeMap<String, Vec<u16>> = serde_json::from_slice(&fs_err::read(seen.path()).unwrap()).unwrap();
    // These are given something to remove; what else is reached is up to chance.
    for name in REMOVALS.iter().filter(|name| key.is_some() || **name != "keys") {
        let statuses = &seen[&format!("DELETE /api/v1/{name}/{{id}}")];
        assert!(statuses.contains(&204), "no {name} were removed: {statuses:?}");
    }
}
