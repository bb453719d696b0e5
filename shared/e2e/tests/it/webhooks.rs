//! Webhooks on a whole stack: two dispatchers, and receivers of every kind, good and bad.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use drydock_webhook::SigningSecret;
use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Mutex};

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{http, id, shell},
};

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A message as it came.
#[derive(Clone, Debug)]
struct Came {
    path: String,
    id: String,
    timestamp: i64,
    signature: String,
    body: Bytes,
}

impl Came {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn is_signed_with(&self, secret: &SigningSecret) -> bool {
        let signature = secret.sign(&self.id, self.timestamp, &self.body);
        self.signature.split(' ').any(|one| one == signature)
    }
}

/// A real HTTP server with a good path and several bad ones.
struct Receiver {
    base: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::<Mutex<Vec<Came>>>::default();
        let router = Router::new().route("/{kind}", post(receive)).with_state(came.clone());
        drydock_runtime::tasks::spawn("receiver", async move { axum::serve(listener, router).await.unwrap() });
        Self { base, came }
    }

    async fn at(&self, path: &str) -> Vec<Came> {
        self.came.lock().await.iter().filter(|came| came.path == path).cloned().collect()
    }

    async fn until(&self, path: &str, many: usize) -> Vec<Came> {
        drydock_testing::until(&format!("{many} messages came to {path}"), PATIENCE, || async {
            let came = self.at(path).await;
            (came.len() >= many).then_some(came)
        })
        .await
    }
}

async fn receive(State(came): State<Arc<Mutex<Vec<Came>>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let path = uri.path().to_owned();
    let mut all = came.lock().await;
    all.push(Came {
        path: path.clone(),
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap(),
        signature: header("webhook-signature"),
        body,
    });
    let before = all.iter().filter(|other| other.path == path).count() - 1;
    drop(all);
    match path.as_str() {
        "/flaky" if before == 0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/hang" => std::future::pending().await,
        "/flood" => {
            let chunk = Bytes::from_static(&[b'x'; 64 * 1024]);
            Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()))).into_response()
        }
        "/redirect" => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        "/gone" => StatusCode::GONE.into_response(),
        "/down" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn stack(settings: &[(&'static str, &str)]) -> Stack {
    let fixed = [
        ("DRYDOCK_WEBHOOK_KEY", KEY),
        ("DRYDOCK_WEBHOOK_ALLOW_PRIVATE", "127.0.0.0/8"),
        ("DRYDOCK_WEBHOOK_TIMEOUT", "1s"),
        ("DRYDOCK_WEBHOOK_RETRIES", "100ms,200ms"),
    ];
    let settings = fixed.iter().chain(settings).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Stack::with(Options { settings, ..Options::default() }).await
}

async fn send(stack: &Stack, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = stack.client.send(method, path, Some(body)).await;
    assert!(status.is_success(), "{path}: {status} {answer}");
    answer
}

async fn hook(stack: &Stack, receiver: &Receiver, path: &str, events: &[&str]) -> (String, SigningSecret) {
    let body = json!({"name": path, "url": format!("{}{path}", receiver.base), "events": events});
    let made = send(stack, Method::POST, "/webhooks", body).await;
    (id(&made), made["secret"].as_str().unwrap().parse().unwrap())
}

async fn project(stack: &Stack) -> String {
    id(&stack.client.project(json!({"instruction": "an empty start", "agent": "dummy"})).await)
}

/// The deliveries of a webhook, newest first.
async fn log(stack: &Stack, hook: &str) -> Vec<Value> {
    stack.client.get(&format!("/webhooks/{hook}/deliveries")).await["items"].as_array().unwrap().clone()
}

/// The only delivery of a webhook, once it is as `status` says.
async fn becomes(stack: &Stack, hook: &str, status: &str) -> Value {
    drydock_testing::until(&format!("the delivery is {status}"), PATIENCE, || async {
        let log = log(stack, hook).await;
        assert!(log.len() <= 1, "{log:?}");
        log.first().filter(|row| row["status"] == status).cloned()
    })
    .await
}

/// A batch of forty jobs, submitted.
async fn batch_of_forty(stack: &Stack, project: &str) -> String {
    let batch = id(&send(stack, Method::POST, "/batches", json!({"name": "forty"})).await);
    let lines: String = (0..40)
        .map(|n| {
            let mut line = shell(&format!("echo {n} > {n}.txt"));
            line["project_id"] = json!(project);
            format!("{line}\n")
        })
        .collect();
    let url = format!("{}/api/v1/batches/{batch}/jobs", stack.client.base());
    let sent = http().post(url).header("content-type", "application/x-ndjson").body(lines).send().await.unwrap();
    assert!(sent.status().is_success());
    batch
}

/// Red when the trigger of jobs or of batches is dropped, or when a claim takes what another has.
#[tokio::test]
async fn each_end_is_told_once_and_signed() {
    let stack = stack(&[]).await;
    let receiver = Receiver::start().await;
    let project = project(&stack).await;
    let (hook, secret) = hook(&stack, &receiver, "/ok", &["*"]).await;
    let done = stack.client.run(&project, shell("echo hi > hi.txt; echo well done")).await;
    let failed = stack.client.run(&project, shell("exit 3")).await;
    let batch = batch_of_forty(&stack, &project).await;
    let came = receiver.until("/ok", 43).await;
    drydock_testing::until("all are recorded", PATIENCE, || async {
        let log = stack.client.get(&format!("/webhooks/{hook}/deliveries?limit=100")).await["items"].clone();
        let log = log.as_array().unwrap();
        assert!(log.len() <= 43, "{}", log.len());
        let told = log.iter().filter(|row| row["status"] == "delivered" && row["attempts"] == 1);
        (told.count() == 43).then_some(())
    })
    .await;
    let came = if came.len() == 43 { receiver.at("/ok").await } else { came };
    assert_eq!(came.len(), 43, "none came twice");
    let mut ids: Vec<_> = came.iter().map(|came| came.id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 43);
    assert!(came.iter().all(|came| came.is_signed_with(&secret) && !came.is_signed_with(&SigningSecret::generate())));
    let of = |job: &Value| came.iter().map(Came::json).find(|message| message["data"]["id"] == job["id"]).unwrap();
    let told = of(&done);
    assert_eq!(
        (&told["type"], &told["data"]["status"], &told["data"]["version"]),
        (&json!("job.completed"), &json!("completed"), &json!(2))
    );
    assert_eq!((&told["data"]["files"]["created"], &told["data"]["project_id"]), (&json!(1), &json!(project)));
    let at = |time: &Value| time.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(at(&told["data"]["finished_at"]), at(&done["finished_at"]));
    let told = of(&failed);
    assert_eq!((&told["type"], &told["data"]["status"]), (&json!("job.error"), &json!("error")));
    assert_eq!(told["data"]["failure_kind"], failed["failure_kind"]);
    let ends: Vec<Value> = came.iter().map(Came::json).filter(|message| message["type"] == "batch.finished").collect();
    assert_eq!(ends.len(), 1, "a batch ends once");
    assert_eq!(
        (&ends[0]["data"]["id"], &ends[0]["data"]["status"], &ends[0]["data"]["counts"]["completed"]),
        (&json!(batch), &json!("completed"), &json!(40))
    );
}

/// Red when the old secret does not sign, or a repeated delivery gets another id.
#[tokio::test]
async fn two_secrets_sign_for_a_while_and_what_was_told_can_be_told_again() {
    let stack = stack(&[]).await;
    let receiver = Receiver::start().await;
    let (hook, secret) = hook(&stack, &receiver, "/ok", &["*"]).await;
    let newer = send(&stack, Method::POST, &format!("/webhooks/{hook}/rotate-secret"), json!({})).await;
    let newer: SigningSecret = newer["secret"].as_str().unwrap().parse().unwrap();
    let test = id(&send(&stack, Method::POST, &format!("/webhooks/{hook}/test"), json!({})).await);
    let came = receiver.until("/ok", 1).await;
    let told = came.iter().find(|came| came.id == test).unwrap();
    assert!(told.is_signed_with(&secret) && told.is_signed_with(&newer), "{told:?}");
    assert_eq!(told.json()["type"], "webhook.test");
    // What was delivered can be sent again, under its id.
    becomes(&stack, &hook, "delivered").await;
    send(&stack, Method::POST, &format!("/webhooks/{hook}/deliveries/{test}/redeliver"), json!({})).await;
    let came = receiver.until("/ok", 2).await;
    assert_eq!(came.iter().filter(|came| came.id == test).count(), 2);
    let metric = |outcome: &str| format!("drydock_dispatcher_webhook_deliveries_total{{outcome=\"{outcome}\"}}");
    drydock_testing::until("it is counted", PATIENCE, || async {
        let mut told = 0.0;
        for dispatcher in 0..2 {
            told += stack.dispatcher_says(dispatcher, &metric("delivered")).await?;
        }
        (told >= 2.0).then_some(())
    })
    .await;
    for gauge in [
        "drydock_webhook_deliveries_pending",
        "drydock_webhook_oldest_due_seconds",
        "drydock_dispatcher_webhook_delivery_seconds_count",
    ] {
        assert!(stack.dispatchers_say(gauge).await.is_some(), "{gauge}");
    }
    let logs = stack.process_logs();
    for secret in [&secret, &newer] {
        let text = secrecy::ExposeSecret::expose_secret(&secret.text()).to_owned();
        assert!(!logs.contains(text.strip_prefix("whsec_").unwrap()) && !logs.contains(KEY), "a secret is in a log");
    }
}

/// Red when failures are not tried again, when a redirect is followed, or when the whole answer is read.
#[tokio::test]
async fn a_bad_receiver_is_told_again_and_holds_up_no_other() {
    let stack = stack(&[]).await;
    let receiver = Receiver::start().await;
    let project = project(&stack).await;
    let ended = ["job.completed"];
    let mut hooks = Vec::new();
    for path in ["/hang", "/flood", "/flaky", "/redirect", "/gone", "/down", "/ok"] {
        hooks.push(hook(&stack, &receiver, path, &ended).await.0);
    }
    let [hang, flood, flaky, redirect, gone, down, ok] = &hooks[..] else { panic!() };
    stack.client.run(&project, shell("true")).await;
    // These all end although one receiver never answers.
    assert_eq!(becomes(&stack, ok, "delivered").await["attempts"], 1);
    let flood = becomes(&stack, flood, "delivered").await;
    assert_eq!((&flood["last_status"], &flood["attempts"]), (&json!(200), &json!(1)), "{flood}");
    assert_eq!(becomes(&stack, flaky, "delivered").await["attempts"], 2);
    let tries = receiver.at("/flaky").await;
    assert_eq!(
        (tries[0].id == tries[1].id, tries[0].body == tries[1].body),
        (true, true),
        "the same message: {tries:?}"
    );
    let redirect = becomes(&stack, redirect, "failed").await;
    assert_eq!(
        (&redirect["last_status"], &redirect["last_error"], &redirect["attempts"]),
        (&json!(307), &json!("redirect"), &json!(3)),
        "{redirect}"
    );
    assert_eq!(receiver.at("/elsewhere").await.len(), 0, "it was followed");
    let over = becomes(&stack, gone, "failed").await;
    assert_eq!((&over["last_error"], &over["attempts"]), (&json!("gone"), &json!(1)), "{over}");
    let shown = stack.client.get(&format!("/webhooks/{gone}")).await;
    assert_eq!((&shown["status"], &shown["disabled_reason"]), (&json!("disabled"), &json!("gone")), "{shown}");
    let hang = becomes(&stack, hang, "failed").await;
    assert_eq!(
        (&hang["last_error"], &hang["attempts"], &hang["last_status"]),
        (&json!("timeout"), &json!(3), &Value::Null),
        "{hang}"
    );
    assert!(hang["last_latency_ms"].as_u64().unwrap() >= 1000, "{hang}");
    // All its tries are used up, and yet it can be sent again, to somewhere else.
    let failed = becomes(&stack, down, "failed").await;
    assert_eq!(stack.client.get(&format!("/webhooks/{down}")).await["status"], "failing");
    send(&stack, Method::PATCH, &format!("/webhooks/{down}"), json!({"url": format!("{}/mended", receiver.base)}))
        .await;
    send(&stack, Method::POST, &format!("/webhooks/{down}/deliveries/{}/redeliver", id(&failed)), json!({})).await;
    becomes(&stack, down, "delivered").await;
    assert_eq!(receiver.at("/mended").await[0].id, id(&failed));
    assert_eq!(stack.client.get(&format!("/webhooks/{down}")).await["status"], "active");
    // The disabled one is told of nothing more.
    stack.client.run(&project, shell("true")).await;
    receiver.until("/ok", 2).await;
    assert_eq!((log(&stack, gone).await.len(), receiver.at("/gone").await.len()), (1, 1));
}

/// Red when the address is not judged again by whoever sends.
#[tokio::test]
async fn an_address_that_has_become_private_is_not_sent_to() {
    let stack = stack(&[("DRYDOCK_WEBHOOK_ALLOW_PRIVATE", "127.0.0.2/32")]).await;
    let receiver = Receiver::start().await;
    let made = send(&stack, Method::POST, "/webhooks", json!({"name": "n", "url": "http://127.0.0.2:9/"})).await;
    let hook = id(&made);
    let port = receiver.base.rsplit_once(':').unwrap().1;
    let client = stack.database.client().await.unwrap();
    // What a name stands for inside is not told apart from one that is not there.
    for (url, error) in [
        (receiver.base.clone(), "address_refused"),
        (format!("http://localhost:{port}/x"), "dns"),
        (format!("https://localhost:{port}/x"), "dns"),
    ] {
        client.execute("UPDATE webhook SET url = $1", &[&url]).await.unwrap();
        client.execute("DELETE FROM webhook_delivery", &[]).await.unwrap();
        send(&stack, Method::POST, &format!("/webhooks/{hook}/test"), json!({})).await;
        let refused = becomes(&stack, &hook, "failed").await;
        assert_eq!((&refused["last_error"], &refused["attempts"]), (&json!(error), &json!(3)), "{url}: {refused}");
    }
    assert!(receiver.came.lock().await.is_empty());
}

/// Red when events are taken from what dispatchers see instead of from the transaction that ends a job.
#[tokio::test]
async fn what_ended_while_no_dispatcher_ran_is_told() {
    let mut stack = stack(&[]).await;
    let receiver = Receiver::start().await;
    let project = project(&stack).await;
    hook(&stack, &receiver, "/ok", &["job.completed"]).await;
    let flag = tempfile::tempdir().unwrap();
    let go = flag.path().join("go");
    let job =
        stack.client.submit(&project, shell(&format!("until [ -e {} ]; do sleep 0.05; done", go.display()))).await;
    stack.client.reaches(&job, "running").await;
    for dispatcher in &mut stack.dispatchers {
        dispatcher.kill();
    }
    fs_err::write(&go, "").unwrap();
    stack.client.ended(&job).await;
    assert!(receiver.at("/ok").await.is_empty());
    for dispatcher in &mut stack.dispatchers {
        dispatcher.restart();
    }
    let came = receiver.until("/ok", 1).await;
    assert_eq!(came[0].json()["data"]["id"], json!(job));
    drydock_testing::until("it is recorded", PATIENCE, || async {
        let client = stack.database.client().await.ok()?;
        let rows = client.query("SELECT state FROM webhook_delivery", &[]).await.ok()?;
        (rows.len() == 1 && rows[0].get::<_, &str>(0) == "delivered").then_some(())
    })
    .await;
    assert_eq!(receiver.at("/ok").await.len(), 1, "it came twice");
}
