//! Webhooks: where they may point, what is shown of them, how they change, and what their log says. They are sent by the dispatcher, whose
//! tests are on a whole stack.

use drydock_database::webhook::{self, Patience, Shares, Tried};
use drydock_domain::WebhookId;
use drydock_webhook::SigningSecret;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Api, Content, Worker, body, column, pick, table, told, webhook_keys};

const REFUSED: &str = r#"
    {} => name | Field required | missing & url | Field required | missing
    {"name": " ", "url": "x", "events": [], "paused": 1, "x": 1} => name | String should have at least 1 character | string_too_short & url | Input should be a URL like https://example.org/hooks/drydock | value_error & events | List should have at least 1 item after validation, not 0 | too_short & paused | Input should be a valid boolean | bool_type & x | Extra inputs are not permitted | extra_forbidden
    {"name": "n", "url": "http://example.org/"} => url | URL should begin with https://, or with http:// for hosts that DRYDOCK_WEBHOOK_ALLOW_PRIVATE names | value_error
    {"name": "n", "url": "https://u:p@example.org/"} => url | URL should hold no user and password | value_error
    {"name": "n", "url": "https://169.254.169.254/latest"} => url | the address 169.254.169.254 is not a public one: the operator can allow it with DRYDOCK_WEBHOOK_ALLOW_PRIVATE | value_error
    {"name": "n", "url": "https://[::ffff:10.0.0.1]/"} => url | the address ::ffff:10.0.0.1 is not a public one: the operator can allow it with DRYDOCK_WEBHOOK_ALLOW_PRIVATE | value_error
    {"name": "n", "url": "https://no-such-host.invalid/"} => url | host no-such-host.invalid has no public address: is the name right? The operator can allow others with DRYDOCK_WEBHOOK_ALLOW_PRIVATE | value_error
    {"name": "n", "url": "https://1.1.1.1/", "events": ["job.completed", "job.done"]} => events.1 | Input should be 'job.completed', 'job.error', 'job.cancelled', 'batch.finished' or, alone, '*' | enum
    {"name": "n", "url": "https://1.1.1.1/", "events": ["job.error", "job.error"]} => events.1 | the same event is named twice | value_error
    {"name": "n", "url": "https://1.1.1.1/", "project_id": "00000000-0000-0000-0000-000000000009"} => project_id | Project not found | value_error
    {"name": "n", "url": "https://1.1.1.1/", "project_id": "PROJECT", "events": ["batch.finished"]} => events | A webhook of one project is told of its jobs alone: leave out batch.finished, or project_id | value_error
"#;

const LOCAL: [&str; 2] = ["--webhook-allow-private", "127.0.0.0/8"];
const HERE: &str = "http://127.0.0.1:9/hook?token=s3cr3t";

async fn make(api: &Api, change: Value) -> Value {
    let mut body = json!({"name": "ci", "url": HERE});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    api.post("/webhooks", &body).await.expect(201).json()
}

fn at(webhook: &Value, rest: &str) -> String {
    format!("/webhooks/{}{rest}", webhook["id"].as_str().unwrap())
}

async fn change(api: &Api, path: &str, body: Value, tag: Option<&str>) -> Answer {
    let request = api.request(Method::PATCH, path).json(&body);
    Answer::of(tag.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
}

/// The deliveries of a webhook, newest first.
async fn log(api: &Api, webhook: &Value) -> Value {
    api.get(&at(webhook, "/deliveries")).await.expect(200).json()["items"].clone()
}

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_what_is_expected() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    for (given, expected) in table(REFUSED) {
        let given = body(&given.replace("PROJECT", &project));
        assert_eq!(told(&api.post("/webhooks", &given).await.expect(422)), expected, "{given}");
    }
    let private = json!({"name": "n", "url": "https://localhost/"});
    let refused = told(&api.post("/webhooks", &private).await.expect(422));
    assert!(refused.starts_with("url | host localhost has no public address: "), "{refused}");
    let given = json!({"name": "n", "url": "https://1.1.1.1/"});
    let twice = api.post_with("/webhooks", &given, &[("idempotency-key", "k")]);
    assert_eq!(twice.await.expect(422).faults(), ["Idempotency-Key: value_error"]);
    assert_eq!(api.get("/webhooks").await.expect(200).json(), json!({"items": []}));
}

#[tokio::test]
async fn without_a_key_for_its_secret_no_webhook_is_made() {
    let api = Api::start_changed(&LOCAL, |_, secrets| secrets.webhook_keys = None).await;
    let (error, detail) = api.post("/webhooks", &json!({"name": "n", "url": HERE})).await.expect(503).error();
    assert_eq!(error, "unavailable");
    assert!(detail.as_str().unwrap().contains("DRYDOCK_WEBHOOK_KEY"), "{detail}");
    assert_eq!(api.get("/webhooks").await.expect(200).json(), json!({"items": []}));
}

#[tokio::test]
async fn the_secret_is_shown_once_and_kept_sealed() {
    let api = Api::start_with(&LOCAL).await;
    let answer = api.post("/webhooks", &json!({"name": "ci", "url": HERE, "events": ["job.error"]})).await.expect(201);
    assert_eq!((answer.header("cache-control"), answer.header("etag")), (Some("no-store"), Some("\"1\"")));
    let made = answer.json();
    assert_eq!(answer.header("location"), Some(format!("/api/v1{}", at(&made, "")).as_str()));
    let secret = made["secret"].as_str().unwrap().to_owned();
    let first: SigningSecret = secret.parse().unwrap();
    let shown = api.get(&at(&made, "")).await.expect(200);
    assert_eq!(shown.header("etag"), Some("\"1\""));
    assert_eq!(
        pick(&shown.json(), "name url events status project_id secret"),
        json!(["ci", HERE, ["job.error"], "active", null, null])
    );
    let rotated = api.post(&at(&made, "/rotate-secret"), &json!({})).await.expect(200);
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let newer = rotated.text("secret");
    assert_ne!(newer, secret);
    assert!(rotated.json()["old_secret_until"].is_string(), "both sign for a while");
    // Neither secret, nor its bytes, are anywhere but in the answers that made them.
    let client = api.database.client().await.unwrap();
    let row = client.query_one("SELECT w::text AS row, secret, old_secret FROM webhook w", &[]).await.unwrap();
    let texts = [
        row.get::<_, String>("row"),
        String::from_utf8_lossy(&shown.body).into_owned(),
        log(&api, &made).await.to_string(),
        String::from_utf8_lossy(&api.get("/webhooks").await.expect(200).body).into_owned(),
    ];
    for text in texts {
        for secret in [&secret, &newer] {
            let base64 = secret.strip_prefix("whsec_").unwrap();
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
            assert!(!text.contains(base64) && !text.contains(&hex_of(&bytes)), "a secret is told: {text}");
        }
    }
    let id: WebhookId = made["id"].as_str().unwrap().parse().unwrap();
    let old = webhook_keys().open(id, &row.get::<_, Vec<u8>>("old_secret")).unwrap();
    assert_eq!(old.sign("m", 1, b"x"), first.sign("m", 1, b"x"), "what is kept is what was shown");
    let now = webhook_keys().open(id, &row.get::<_, Vec<u8>>("secret")).unwrap();
    assert_eq!(now.sign("m", 1, b"x"), newer.parse::<SigningSecret>().unwrap().sign("m", 1, b"x"));
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_change_holds_for_the_webhook_as_it_was_read() {
    let api = Api::start_with(&LOCAL).await;
    let made = make(&api, json!({})).await;
    assert_eq!(made["events"], json!(["*"]));
    let path = at(&made, "");
    let changed = change(
        &api,
        &path,
        json!({"name": "x", "events": ["job.error", "batch.finished"], "paused": true}),
        Some("\"1\""),
    );
    let changed = changed.await.expect(200);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    assert_eq!(
        pick(&changed.json(), "name url events status"),
        json!(["x", HERE, ["job.error", "batch.finished"], "paused"])
    );
    let stale = change(&api, &path, json!({"name": "y"}), Some("\"1\"")).await.expect(412);
    assert_eq!(stale.error().1, "The webhook's ETag is \"2\": look at it, then send that in If-Match");
    let bad = change(&api, &path, json!({"url": "http://10.0.0.1/", "project_id": "x"}), None).await.expect(422);
    assert_eq!(bad.faults(), ["url: value_error", "project_id: extra_forbidden"]);
    let back = change(&api, &path, json!({"events": ["*"], "paused": false}), None).await.expect(200).json();
    assert_eq!(pick(&back, "name events status"), json!(["x", ["*"], "active"]));
    let (project, _) = api.project().await;
    let of_one = make(&api, json!({"project_id": project})).await;
    let batch = change(&api, &at(&of_one, ""), json!({"events": ["batch.finished"]}), None).await.expect(422);
    assert_eq!(batch.faults(), ["events: value_error"]);
    api.delete(&path).await.expect(204);
    for answer in [
        api.delete(&path).await,
        api.get(&path).await,
        api.get("/webhooks/x").await,
        api.get(&at(&made, "/deliveries")).await,
    ] {
        assert_eq!(answer.expect(404).error(), ("not_found".to_owned(), json!("Webhook not found")));
    }
}

#[tokio::test]
async fn a_tenant_has_so_many_and_lists_them_in_pages() {
    let api = Api::start_with(&LOCAL).await;
    let most = usize::try_from(api.get("/limits").await.json()["webhooks_max"].as_u64().unwrap()).unwrap();
    let mut made = Vec::new();
    for _ in 0..most {
        made.push(make(&api, json!({})).await["id"].clone());
    }
    let more = api.post("/webhooks", &json!({"name": "n", "url": HERE})).await.expect(409);
    assert_eq!(more.error().1, format!("There are {most} webhooks, which is the most: change or remove one"));
    made.reverse();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/webhooks?limit=7{cursor}")).await.expect(200).json();
        found.extend(column(&page["items"], "id"));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, made);
}

#[tokio::test]
async fn ends_make_deliveries_for_those_who_asked_for_them() {
    let api = Api::start_with(&LOCAL).await;
    let (project, first) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    worker.publish(&first, &[("a", Content::File(b"x"))]).await;
    let all = make(&api, json!({})).await;
    let errors = make(&api, json!({"events": ["job.error"]})).await;
    let paused = make(&api, json!({"paused": true})).await;
    let (other, other_first) = api.project().await;
    let of_other = make(&api, json!({"project_id": other})).await;
    let cancelled = api.job(&project, json!({"job_type": "edit", "instruction": "x"})).await;
    api.post(&format!("/jobs/{cancelled}/cancel"), &json!({})).await.expect(200);
    worker.publish(&other_first, &[("a", Content::File(b"x"))]).await;
    let told = |log: Value| {
        log.as_array().unwrap().iter().map(|row| pick(row, "type job_id status attempts")).collect::<Vec<_>>()
    };
    let (cancel, complete) =
        (json!(["job.cancelled", cancelled, "pending", 0]), json!(["job.completed", other_first, "pending", 0]));
    assert_eq!(told(log(&api, &all).await), [complete.clone(), cancel], "each end once, and none from before");
    assert_eq!(told(log(&api, &errors).await), Vec::<Value>::new());
    assert_eq!(told(log(&api, &paused).await), Vec::<Value>::new());
    assert_eq!(told(log(&api, &of_other).await), [complete]);
    let page = api.get(&at(&all, "/deliveries?limit=1")).await.expect(200).json();
    let rest =
        api.get(&at(&all, &format!("/deliveries?cursor={}", page["next_cursor"].as_str().unwrap()))).await.expect(200);
    assert_eq!(
        (&rest.json()["items"][0]["job_id"], rest.json()["items"].as_array().unwrap().len()),
        (&json!(cancelled), 1)
    );
}

#[tokio::test]
async fn a_test_is_a_delivery_and_each_can_be_sent_again() {
    let api = Api::start_with(&LOCAL).await;
    let made = make(&api, json!({})).await;
    let test = api.post(&at(&made, "/test"), &json!({})).await.expect(202).json();
    assert_eq!(pick(&test, "type status attempts job_id"), json!(["webhook.test", "pending", 0, null]));
    let client = api.database.client().await.unwrap();
    let hook: WebhookId = made["id"].as_str().unwrap().parse().unwrap();
    let who = Uuid::now_v7();
    let lease = std::time::Duration::from_secs(60);
    let claim =
        webhook::claim(&client, &[hook], who, 10, Shares { webhook: 10, tenant: 10 }, lease).await.unwrap().remove(0);
    assert_eq!((claim.id.to_string(), claim.url.as_str()), (test["id"].as_str().unwrap().to_owned(), HERE));
    assert_eq!(log(&api, &made).await[0]["status"], "sending");
    let again = format!("/deliveries/{}/redeliver", claim.id);
    let tried = Tried {
        status: Some(503),
        error: Some("status"),
        took: std::time::Duration::from_millis(7),
        ..Tried::default()
    };
    // What is on its way is left to whoever sends it.
    assert_eq!(api.post(&at(&made, &again), &json!({})).await.expect(202).text("status"), "sending");
    webhook::record(&client, &claim, who, &tried, &Patience { disable_after: lease, calm: lease }).await.unwrap();
    let failed = log(&api, &made).await[0].clone();
    assert_eq!(
        pick(&failed, "status attempts last_status last_error last_latency_ms next_attempt_at"),
        json!(["failed", 1, 503, "status", 7, null])
    );
    assert_eq!(api.get(&at(&made, "")).await.json()["status"], "failing");
    let sent = api.post(&at(&made, &again), &json!({})).await.expect(202).json();
    assert_eq!(pick(&sent, "id status attempts"), json!([test["id"], "pending", 1]));
    let unknown = api.post(&at(&made, &format!("/deliveries/{}/redeliver", Uuid::now_v7())), &json!({})).await;
    assert_eq!(unknown.expect(404).error().1, "Delivery not found");
    change(&api, &at(&made, ""), json!({"paused": true}), None).await.expect(200);
    for path in [again.as_str(), "/test"] {
        let refused = api.post(&at(&made, path), &json!({})).await.expect(409);
        assert_eq!(refused.error().1, "Webhook is paused: set paused to false first");
    }
}
