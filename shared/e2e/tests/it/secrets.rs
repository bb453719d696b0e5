//! Canaries in place of every secret, a busy run, then a look into everything that is kept or shown: they are nowhere.
//!
//! Services hold theirs in their own environment, and an agent is given its key by its entry (`secrets = "env"`); nobody else has any.

use std::{
    collections::BTreeMap,
    io::Read as _,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drydock_domain::{AttemptId, ObjectKind, TenantId};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{http, id, shell},
};

/// An agent's key: long, with what JSON and shells escape.
const MODEL_KEY: &str = "sk-canary-\"7f3\\e'0123456789abcdef";
const WEBHOOK_KEY: &str = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE=";

/// Each says its key in another way: whole and in two writes, in other spellings, to standard error, in its result.
const AGENTS: &str = r#"
[[agent]]
name = "plain"
protocol = "exit"
argv = ["sh", "-c", 'printf "key %s\n" "$OPENAI_API_KEY"; printf "%.12s" "$OPENAI_API_KEY"; sleep 0.3; printf "%s\n" "$OPENAI_API_KEY" | cut -c13-; printf %s "$OPENAI_API_KEY" | od -An -v -tx1 | tr -d " \n"; echo; printf %s "$OPENAI_API_KEY" | base64 -w0; echo; printf "%s\n" "$OPENAI_API_KEY" >&2; yes "no secret in this line" | head -n 100000; printf "%s\n" "$OPENAI_API_KEY"; exit 3']
env = ["OPENAI_API_KEY"]

[[agent]]
name = "result"
protocol = "file"
argv = ["python3", "-c", 'import json, os, time; key = os.environ["OPENAI_API_KEY"]; time.sleep(1); json.dump({"status": "completed", "summary": key, "logs": "the key is " + key, "errors": [key]}, open(".codex/result.json", "w"))']
env = ["OPENAI_API_KEY"]
"#;

/// By name, with the spellings that are looked for.
struct Canaries(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Canaries {
    fn add(&mut self, name: &'static str, value: &str) {
        assert!(value.len() >= 12, "{name}: too short to be looked for");
        let json = serde_json::to_string(value).unwrap();
        let spelled = [value.to_owned(), hex::encode(value), base64(value), json[1..json.len() - 1].to_owned()];
        self.0.insert(name, spelled.map(String::into_bytes).to_vec());
    }

    /// And the bytes that it stands for: as they are, in hexadecimal and as Rust prints them.
    fn add_decoded(&mut self, name: &'static str, value: &str) {
        self.add(name, value);
        let bytes = STANDARD.decode(value).unwrap();
        let printed = format!("{bytes:?}");
        let spelled = [hex::encode(&bytes).into_bytes(), printed.trim_matches(['[', ']']).into(), bytes];
        self.0.entry(name).or_default().extend(spelled);
    }

    /// Whose spelling is in these bytes, or in what is compressed in them.
    fn found(&self, bytes: &[u8]) -> Vec<&'static str> {
        let unpacked = frames(bytes);
        let holds = |spelled: &Vec<u8>| unpacked.iter().any(|part| contains(part, spelled));
        self.0.iter().filter(|(_, spellings)| spellings.iter().any(holds)).map(|(name, _)| *name).collect()
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        assert_eq!(
            self.found(bytes),
            [""; 0],
            "in {place}: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(2000)])
        );
    }
}

fn base64(value: &str) -> String {
    STANDARD.encode(value).trim_end_matches('=').to_owned()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The bytes, and those of each Zstandard frame in them (RFC 8878, 3.1.1).
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    let starts = bytes.windows(4).enumerate().filter(|(_, four)| *four == MAGIC).map(|(at, _)| at);
    let unpack = |at: usize| {
        let mut unpacked = Vec::new();
        let mut decoder = zstd::Decoder::new(&bytes[at..]).ok()?.single_frame();
        let _end = decoder.read_to_end(&mut unpacked);
        Some(unpacked)
    };
    std::iter::once(bytes.to_vec()).chain(starts.filter_map(unpack)).collect()
}

/// Looks at command lines and at jobs' environments for as long as it lives.
struct Watch {
    ended: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    /// Of the processes below `scratch`, which all carry its name. `not_jobs`: what a job may not have in its environment.
    fn start(scratch: String, canaries: Vec<String>, not_jobs: Vec<String>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = ended.clone();
        let looking = std::thread::spawn(move || {
            let (mut jobs, mut seen) = (0, Vec::new());
            while !until.load(Ordering::Relaxed) {
                for entry in fs_err::read_dir("/proc").unwrap().filter_map(Result::ok) {
                    let read = |name: &str| fs_err::read(entry.path().join(name)).unwrap_or_default();
                    let environment = read("environ");
                    if !contains(&environment, scratch.as_bytes()) {
                        continue;
                    }
                    let is_job = contains(&environment, b"DRYDOCK_ATTEMPT_ID=");
                    jobs += usize::from(is_job);
                    let line = read("cmdline");
                    let holds =
                        |bytes: &[u8], those: &[String]| those.iter().any(|one| contains(bytes, one.as_bytes()));
                    if holds(&line, &canaries) || is_job && holds(&environment, &not_jobs) {
                        seen.push(String::from_utf8_lossy(&line).replace('\0', " "));
                    }
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            (jobs, seen)
        });
        Self { ended, looking }
    }

    fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        let (jobs, seen) = self.looking.join().unwrap();
        assert!(jobs > 0, "no job was looked at");
        assert_eq!(seen, [""; 0], "secrets in arguments, or in a job's environment");
    }
}

async fn stack(agents: &std::path::Path) -> Stack {
    let settings = vec![
        ("DRYDOCK_AGENTS_FILE", agents.display().to_string()),
        ("OPENAI_API_KEY", MODEL_KEY.to_owned()),
        ("DRYDOCK_WEBHOOK_KEY", WEBHOOK_KEY.to_owned()),
        ("DRYDOCK_WEBHOOK_ALLOW_PRIVATE", "127.0.0.0/8".to_owned()),
        ("DRYDOCK_WEBHOOK_RETRIES", "100ms".to_owned()),
    ];
    let worker_settings = vec![("DRYDOCK_ISOLATION", "auto".to_owned())];
    Stack::with(Options { settings, worker_settings, ..Options::default() }).await
}

fn password(url: &str) -> String {
    url.split_once("://").unwrap().1.split_once('@').unwrap().0.split_once(':').unwrap().1.to_owned()
}

async fn post(stack: &Stack, path: &str, body: Value) -> Value {
    let (status, answer) = stack.client.send(Method::POST, path, Some(body)).await;
    assert!(status.is_success(), "{path}: {status} {answer}");
    answer
}

/// Jobs of each kind, some of which fail; a session; a webhook that nobody answers; a worker that is killed in the middle.
async fn busy(stack: &mut Stack, project: &str) -> Vec<Value> {
    let mut jobs = Vec::new();
    let running = stack.client.submit(project, shell("sleep 300")).await;
    stack.client.is_taken(&running).await;
    let holder = stack.holder(&running).await;
    stack.workers[holder].kill();
    stack.add_worker(None, &[("DRYDOCK_ISOLATION", "auto".to_owned())]);
    post(stack, &format!("/jobs/{running}/cancel"), json!({})).await;
    jobs.push(stack.client.ended(&running).await);
    for agent in ["plain", "result"] {
        let body = json!({"job_type": "edit", "instruction": "say what you know", "agent": agent});
        jobs.push(stack.client.run(project, body).await);
    }
    jobs.push(stack.client.run(project, shell("env; cat /proc/*/environ; ls > files.txt; exit 0")).await);
    let session = post(stack, "/sessions", json!({"project_id": project, "server": "preview"})).await;
    let (status, _) = stack
        .client
        .send(Method::DELETE, &format!("/sessions/{}", session["session_id"].as_str().unwrap()), None)
        .await;
    assert!(status.is_success(), "{status}");
    jobs
}

/// Everything that PostgreSQL has of it: rows as text, and bytes as they are.
async fn rows(stack: &Stack, canaries: &Canaries) {
    let url = stack.database.url.expose_secret();
    let nameless = url.replacen(&format!(":{}@", password(url)), "@", 1);
    let mut dump = Command::new("pg_dump");
    let dump = dump.args(["--inserts", &nameless]).env("PGPASSWORD", password(url)).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    canaries.are_not_in("the rows", &dump.stdout);
    let client = stack.database.client().await.unwrap();
    let bytes = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'bytea'";
    let mut values = 0;
    for row in client.query(bytes, &[]).await.unwrap() {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let select = format!("SELECT \"{column}\" FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
        for row in client.query(&select, &[]).await.unwrap() {
            canaries.are_not_in(&format!("{table}.{column}"), row.get(0));
            values += 1;
        }
    }
    assert!(values > 0, "no bytes were looked at");
}

/// Every object in the bucket.
async fn objects(stack: &Stack, canaries: &Canaries) {
    const MOST: u64 = 64 << 20;
    let storage = drydock_testing::storage(&stack.storage_config());
    let keys = storage.keys(TenantId::DEFAULT);
    let mut objects = 0;
    for kind in ObjectKind::ALL {
        let mut listing = storage.list(TenantId::DEFAULT, kind);
        while let Some(page) = listing.page().await.unwrap() {
            for listed in page {
                let bytes = storage.get(&keys.object(kind, listed.id), MOST).await.unwrap();
                canaries.are_not_in(&format!("a {}", kind.as_str()), &bytes);
                objects += 1;
            }
        }
    }
    assert!(objects > 0, "no objects were looked at");
    let client = stack.database.client().await.unwrap();
    let sealed = drydock_testing::until("the long log is an object", PATIENCE, || async {
        let sealed = client.query("SELECT id FROM attempt WHERE log_object IS NOT NULL", &[]).await.unwrap();
        (!sealed.is_empty()).then_some(sealed)
    });
    for row in sealed.await {
        let attempt: AttemptId = row.get::<_, uuid::Uuid>(0).into();
        canaries.are_not_in("a log's object", &storage.get(&keys.log(attempt), MOST).await.unwrap());
    }
}

/// Every file that the workers left in their directories.
fn scratch(stack: &Stack, canaries: &Canaries) {
    let mut left = vec![stack.scratch.path().to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs_err::read_dir(directory).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_file() && !entry.path().ends_with("agents.toml") {
                canaries.are_not_in(&entry.path().display().to_string(), &fs_err::read(entry.path()).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_any_row_object_log_answer_or_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let agents = directory.path().join("agents.toml");
    fs_err::write(&agents, AGENTS).unwrap();
    let mut stack = stack(&agents).await;
    let mut canaries = Canaries(BTreeMap::new());
    let own = [
        ("the webhooks' key", WEBHOOK_KEY.to_owned()),
        ("the database's password", password(stack.database.fleet_url().expose_secret())),
        ("the broker's password", password(&drydock_testing::setting("DRYDOCK_TEST_AMQP_URL"))),
        ("the bucket's key", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
    ];
    own[1..].iter().for_each(|(name, value)| canaries.add(name, value));
    canaries.add_decoded("the webhooks' key", WEBHOOK_KEY);
    canaries.add("the model's key", MODEL_KEY);
    let not_jobs: Vec<String> = own.into_iter().map(|(_, value)| value).collect();
    let all = not_jobs.iter().cloned().chain([MODEL_KEY.to_owned()]).collect();
    let watch = Watch::start(stack.scratch.path().display().to_string(), all, not_jobs);

    let hook = json!({"name": "nobody", "url": format!("http://127.0.0.1:{}/", drydock_testing::free_port()), "events": ["*"]});
    let hook = post(&stack, "/webhooks", hook).await;
    canaries.add_decoded("a webhook's secret", hook["secret"].as_str().unwrap().trim_start_matches("whsec_"));
    let project = id(&stack.client.project(json!({"instruction": "something to work on", "agent": "dummy"})).await);
    let token = post(&stack, &format!("/workspaces/{project}/tokens"), json!({"name": "a daemon"})).await;
    canaries.add("a daemon's token", token["token"].as_str().unwrap());
    let jobs = busy(&mut stack, &project).await;
    watch.end();

    for job in &jobs {
        let log = stack.client.log(&project, &id(job)).await;
        canaries.are_not_in(&format!("the log of {}", job["agent"]), log.as_bytes());
        canaries.are_not_in("an answer", job.to_string().as_bytes());
    }
    let (said, told) = (&jobs[1], &jobs[2]);
    let log = stack.client.log(&project, &id(said)).await;
    assert!(log.matches("[REDACTED]").count() >= 5, "{log}");
    assert!(log.contains("OPENAI_API_KEY=present"), "{log}");
    assert!(told.to_string().contains("[REDACTED]"), "{told}");
    let key = post(&stack, "/keys", json!({"name": "canary", "role": "viewer", "expires_in_s": 3600})).await;
    let key = key["key"].as_str().unwrap();
    canaries.add("an API key", key);
    let url = format!("{}/api/v1/jobs?limit=1", stack.client.base());
    let answer = http().get(&url).bearer_auth(key).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    canaries.are_not_in("an answer to a key", &answer.bytes().await.unwrap());

    canaries.are_not_in("the services' logs", stack.process_logs().as_bytes());
    rows(&stack, &canaries).await;
    objects(&stack, &canaries).await;
    // Living, they write and remove.
    stack.workers.clear();
    scratch(&stack, &canaries);
}

/// The search itself: what it would have found.
#[test]
fn a_canary_is_found_however_it_is_spelled_and_packed() {
    let mut canaries = Canaries(BTreeMap::new());
    canaries.add("one", MODEL_KEY);
    let packed = zstd::encode_all(format!("before {MODEL_KEY} after").repeat(40).as_bytes(), 3).unwrap();
    let json = serde_json::to_vec(MODEL_KEY).unwrap();
    let hidden = [MODEL_KEY.as_bytes().to_vec(), hex::encode(MODEL_KEY).into(), base64(MODEL_KEY).into(), json, packed];
    for spelled in hidden {
        let around = [b"some bytes ".as_slice(), &spelled, b" more"].concat();
        assert_eq!(canaries.found(&around), ["one"], "{}", String::from_utf8_lossy(&spelled));
    }
    canaries.are_not_in("nothing", b"some bytes");
}
