//! Bodies and parameters that mean to be taken for something else. Each is refused with words, or taken letter by letter.

use drydock_database::GenericClient as _;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api};

/// JSON that is none, or is not what it says, and the statuses it may have.
fn bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let utf16: Vec<u8> = "{\"name\": \"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("depth", "[".repeat(100_000).into_bytes(), 400),
        ("a name twice", text(r#"{"name": "a", "name": "b"}"#), 400),
        ("a number beyond all", text(r#"{"name": "a", "budget_tokens": 1e400}"#), 400),
        ("NaN", text(r#"{"name": "a", "budget_tokens": NaN}"#), 400),
        ("Infinity", text(r#"{"name": "a", "budget_tokens": -Infinity}"#), 400),
        ("half a surrogate pair", text(r#"{"name": "\ud800"}"#), 400),
        ("a byte order mark", text("\u{feff}{\"name\": \"a\"}"), 400),
        ("UTF-16", utf16, 400),
        ("a trailing comma", text(r#"{"name": "a",}"#), 400),
        ("a comment", text("{\"name\": \"a\"} // b"), 400),
        ("single quotes", text("{'name': 'a'}"), 400),
        ("two values", text(r#"{"name": "a"}{"name": "b"}"#), 400),
        ("a control character", text("{\"name\": \"a\u{1}b\"}"), 400),
        ("10 MB", format!("{{\"name\": \"{}\"}}", "x".repeat(10_000_000)).into_bytes(), 413),
        ("a list for a text", text(r#"{"name": ["a"]}"#), 422),
        ("an object for a text", text(r#"{"name": {"$ne": null}}"#), 422),
        ("a text for a number", text(r#"{"name": "a", "budget_tokens": "one"}"#), 422),
        ("a negative number", text(r#"{"name": "a", "budget_tokens": -1}"#), 422),
        ("a fraction", text(r#"{"name": "a", "budget_tokens": 1.5}"#), 422),
        ("more than 64 bits", text(r#"{"name": "a", "budget_tokens": 99999999999999999999}"#), 422),
        ("unknown fields", text(r#"{"name": "a", "tenant_id": "x", "__proto__": {}}"#), 422),
        ("null for a body", text("null"), 422),
        ("a list for a body", text("[]"), 422),
    ]
}

/// HT-04.
#[tokio::test]
async fn json_that_is_not_what_it_seems_is_refused() {
    let api = Api::start().await;
    let mut wrong = Vec::new();
    for (what, body, expected) in bodies() {
        let request = api.request(Method::POST, "/batches").header("content-type", "application/json");
        let answer = Answer::of(request.body(body)).await;
        if answer.status != expected {
            wrong.push(format!("{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(api.get("/batches").await.expect(200).json()["items"], json!([]), "nothing was made");
}

/// HT-05: a command is a list, which no shell sees; and nobody names variables of its environment.
#[tokio::test]
async fn a_command_is_taken_word_by_word_or_not_at_all() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let command = |argv: serde_json::Value| json!({"job_type": "command", "argv": argv});
    let odd = json!(["echo", "; rm -rf /", "$(id)", "`id`", "a\nb", "", "--", "| cat", "*", "\u{202e}"]);
    let id = api.job(&project, command(odd.clone())).await;
    let kept = "SELECT to_jsonb(argv) FROM job WHERE id = $1";
    let id: uuid::Uuid = id.parse().unwrap();
    let kept: serde_json::Value = api.database.client().await.unwrap().query_one(kept, &[&id]).await.unwrap().get(0);
    assert_eq!(kept, odd, "as it was given");
    let long = "x".repeat(10_000_000);
    for (body, expected) in [
        (command(json!("echo; rm -rf /")), 422),
        (command(json!([])), 422),
        (command(json!(["echo", "a\u{0}b"])), 422),
        (command(json!(["echo", ["a"]])), 422),
        (command(json!(["echo", long])), 413),
        (json!({"job_type": "command", "argv": ["env"], "env": {"LD_PRELOAD": "/tmp/x.so"}}), 422),
        (json!({"job_type": "command", "argv": ["env"], "environment": {"PATH": "/tmp"}}), 422),
        (json!({"job_type": "command", "argv": ["env"], "cwd": "/etc"}), 422),
    ] {
        api.post(&path, &body).await.expect(expected);
    }
}

/// HT-09.
#[tokio::test]
async fn pages_end_where_they_should() {
    let api = Api::start().await;
    for _ in 0..3 {
        api.project().await;
    }
    let next = api.get("/projects?limit=1").await.expect(200).text("next_cursor");
    let mut wrong = Vec::new();
    for list in [
        "/projects",
        "/jobs",
        "/batches",
        "/schedules",
        "/keys",
        "/users",
        "/tenants",
        "/webhooks",
        "/sessions",
        "/audit",
    ] {
        let tampered = next.chars().rev().collect::<String>();
        for query in [
            "limit=-1",
            "limit=0",
            "limit=1000000000",
            "limit=1e3",
            "limit=0x10",
            "limit=99999999999999999999",
            "cursor=0",
            "cursor=%27%20OR%201=1--",
            "sort=id;DROP",
            "order=desc",
            &format!("cursor={tampered}"),
        ] {
            let answer = api.get(&format!("{list}?{query}")).await;
            if answer.status != 422 {
                wrong.push(format!("{list}?{query}: {}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
