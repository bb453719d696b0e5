//! The headers of every kind of answer that make a browser do nothing with it.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api, Content, Worker};

const FIXED: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];
const OWN: &str = "default-src 'none'; frame-ancestors 'none'";
const OF_OTHERS: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// What differs: status, `Cache-Control`, whether the content is anyone's, `Vary`.
const EXPECTED: &str = "
list: 200 | no-store | own | authorization, origin
made: 201 | no-store | own | authorization, origin
one, with its tag: 200 | no-store | own | authorization, origin
nothing to say: 204 | no-store | own | authorization, origin
no key: 401 | no-store | own | authorization, origin
no such thing: 404 | no-store | own | authorization, origin
no such route: 404 | no-store | own | origin
no such method: 405 | no-store | own | origin
no preflight: 405 | no-store | own | origin
preflight: 200 | no-store | own | origin
no such type: 415 | no-store | own | authorization, origin
fields: 422 | no-store | own | authorization, origin
file: 200 | no-cache | others | accept, authorization, origin
part of a file: 206 | no-cache | others | accept, authorization, origin
no such part: 416 | no-store | own | authorization, origin
file that is known: 304 | no-cache | others | accept, authorization, origin
file as JSON: 200 | no-cache | own | accept, authorization, origin
head of a file: 200 | no-cache | others | accept, authorization, origin
archive: 200 | no-cache | others | authorization, origin
patch: 200 | no-store | others | accept, authorization, origin
log: 200 | no-store | others | authorization, origin
stream: 200 | no-store | others | accept, authorization, origin
stream of lines: 200 | no-store | others | accept, authorization, origin
secret: 201 | no-store | own | authorization, origin
document: 200 | no-store | own | origin
page: 200 | no-store | page | origin
alive: 200 | no-store | others | origin
ready: 200 | no-store | own | origin
metrics: 200 | no-store | others | origin
version: 200 | no-store | own | origin
";

struct Seen(String);

impl Seen {
    /// Checks what is the same for all, and writes down what differs.
    fn see(&mut self, what: &str, status: u16, headers: &reqwest::header::HeaderMap) {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
            let value = values.next().unwrap_or_else(|| panic!("{what}: no {name} in {headers:?}"));
            assert!(values.next().is_none(), "{what}: two of {name}");
            value
        };
        for (name, value) in FIXED {
            assert_eq!(one(name), value, "{what}: {name}");
        }
        assert!(one("permissions-policy").contains("camera=()"), "{what}");
        assert!(headers.get("strict-transport-security").is_none(), "{what}: nobody came by TLS");
        let whose = match one("content-security-policy") {
            OWN => "own",
            OF_OTHERS => "others",
            page if page.contains("sha256-") => "page",
            other => other,
        };
        let vary: Vec<String> = headers
            .get_all("vary")
            .iter()
            .flat_map(|value| value.to_str().unwrap().split(',').map(|name| name.trim().to_owned()))
            .collect();
        let line = format!("{what}: {status} | {} | {whose} | {}\n", one("cache-control"), vary.join(", "));
        self.0.push_str(&line);
    }

    fn answer(&mut self, what: &str, answer: &Answer) {
        self.see(what, answer.status, &answer.headers);
    }
}

/// Red when a kind of answer is without one of these headers, or may be kept by a cache that must not.
#[tokio::test]
async fn every_kind_of_answer_is_inert() {
    let api = Api::start().await;
    let mut seen = Seen("\n".to_owned());
    let (project, job) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&job).await;
    worker.log(attempt, 0, 0, b"<script>alert(1)</script>\n").await;
    let files = [("a.html", Content::File(b"<script>alert(1)</script>"))];
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default(), Some(&files)).await;
    let at = |rest: &str| format!("/projects/{project}{rest}");
    let made = |method: Method, path: &str| api.request(method, path);

    seen.answer("list", &api.get("/projects").await);
    seen.answer("made", &api.post("/batches", &json!({"name": "many"})).await);
    seen.answer("one, with its tag", &api.get(&at("")).await);
    let schedule =
        json!({"name": "n", "project_id": project, "cron": "@daily", "job": {"job_type": "edit", "instruction": "x"}});
    let schedule = api.post("/schedules", &schedule).await.expect(201).text("id");
    seen.answer("nothing to say", &api.delete(&format!("/schedules/{schedule}")).await.expect(204));
    seen.answer("no key", &api.get_with("/projects", &[("authorization", "Bearer x")]).await);
    seen.answer("no such thing", &api.get("/projects/x").await);
    seen.answer("no such route", &api.get("/nothing").await);
    seen.answer("no such method", &Answer::of(made(Method::PUT, "/projects")).await);
    seen.answer("no preflight", &Answer::of(made(Method::OPTIONS, "/projects")).await);
    let preflight = made(Method::OPTIONS, "/projects").header("origin", "http://localhost:3000");
    seen.answer("preflight", &Answer::of(preflight.header("access-control-request-method", "POST")).await);
    seen.answer("no such type", &Answer::of(made(Method::POST, "/projects").body("x")).await);
    seen.answer("fields", &api.post("/projects", &json!({})).await);

    let file = at("/files/a.html");
    let raw = api.get(&file).await.expect(200);
    seen.answer("file", &raw);
    seen.answer("part of a file", &api.get_with(&file, &[("range", "bytes=0-3")]).await);
    seen.answer("no such part", &api.get_with(&file, &[("range", "bytes=900-")]).await);
    seen.answer("file that is known", &api.get_with(&file, &[("if-none-match", raw.header("etag").unwrap())]).await);
    seen.answer("file as JSON", &api.get_with(&file, &[("accept", "application/json")]).await);
    seen.answer("head of a file", &Answer::of(made(Method::HEAD, &file)).await);
    seen.answer("archive", &api.get(&at("/archive")).await);
    Answer::of(made(Method::PUT, &at("/files/b.txt")).body("b")).await.expect(201);
    seen.answer("patch", &api.get_with(&at("/versions/1/diff/2"), &[("accept", "text/x-diff")]).await.expect(200));
    seen.answer("log", &api.get(&at(&format!("/jobs/{job}/logs"))).await.expect(200));
    seen.see("stream", 200, &api.stream("/events", &[]).await.headers);
    seen.see("stream of lines", 200, &api.stream("/events", &[("accept", "application/x-ndjson")]).await.headers);

    seen.answer("secret", &api.post("/keys", &json!({"name": "first", "role": "admin"})).await);
    seen.answer("document", &api.get("//openapi.json").await);
    seen.answer("page", &api.get("//docs").await);
    seen.answer("alive", &api.get("//livez").await);
    seen.answer("ready", &api.get("//readyz").await);
    seen.answer("metrics", &api.get("//metrics").await);
    seen.answer("version", &api.get("//version").await);
    assert_eq!(seen.0, EXPECTED);
}

/// Red when a client is told to insist on TLS that nobody knows of, or is not told where a proxy knows.
#[tokio::test]
async fn tls_is_insisted_on_where_a_trusted_proxy_says_so_or_a_setting() {
    let hsts = async |api: &Api, proto: &str| {
        let answer = api.get_with("/limits", &[("x-forwarded-proto", proto)]).await.expect(200);
        answer.header("strict-transport-security").map(str::to_owned)
    };
    let alone = Api::start().await;
    assert_eq!(hsts(&alone, "https").await, None);
    let behind = Api::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    assert_eq!(
        (hsts(&behind, "http").await, hsts(&behind, "https").await),
        (None, Some("max-age=31536000".to_owned()))
    );
    let set = Api::start_with(&["--hsts", "1h"]).await;
    assert_eq!(hsts(&set, "http").await.as_deref(), Some("max-age=3600"));
}
