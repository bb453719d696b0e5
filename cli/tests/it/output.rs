//! The forms of data and of failures, and what is at the other end.

use serde_json::Value;

use crate::harness::{Api, Drydock};

const NOBODY: &str = "019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90";

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_in_the_form_that_is_asked_for() {
    let api = Api::start().await;
    let (first, job) = api.project().await;
    let (second, _) = api.project().await;
    let path = format!("/jobs/{job}");
    let said = api.get(&path).await;
    for line in
        [format!("-o json job show {job}"), format!("job show {job} --output json"), format!("job show {job} --json")]
    {
        assert_eq!(api.drydock(&line).ok().await.text(), said.clone() + "\n", "{line}");
    }
    let lines = api.drydock("-o ndjson project ls").ok().await.text();
    let ids: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, [Value::from(second.as_str()), first.as_str().into()]);
    let one = api.drydock("-o ndjson project ls --limit 1").ok().await.says("there are more").text();
    assert_eq!(one.lines().count(), 1);
    let yaml = api.drydock(&format!("-o yaml project show {first}")).ok().await.text();
    assert!(yaml.lines().any(|line| line == "instruction: build a thing"), "{yaml}");
    assert!(yaml.lines().any(|line| line == "head_version: 0"), "{yaml}");
    assert_eq!(api.drydock("-o table project ls").ok().await.text().lines().count(), 3);
    Drydock::new(&["--json", "-o", "yaml", "version"]).end().await.exit(2).says("cannot be used with");
    Drydock::new(&["-o", "xml", "version"]).end().await.exit(2).says("ndjson");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_document_where_data_is() {
    let api = Api::start().await;
    for form in ["json", "ndjson"] {
        let refused = api.drydock(&format!("-o {form} job show {NOBODY}")).end().await.exit(4);
        let body: Value = serde_json::from_str(&refused.err).unwrap();
        assert_eq!(
            (&body["error"], &body["code"], &body["detail"]),
            (&"not_found".into(), &404.into(), &"Job not found".into())
        );
    }
    let refused = api.drydock(&format!("-o yaml job show {NOBODY}")).end().await.exit(4);
    assert!(refused.err.lines().any(|line| line == "detail: Job not found"), "{}", refused.err);
    // What never reached the API has the same shape.
    let away = Drydock::new(&["-q", "-o", "json", "project", "ls", "-s", "http://127.0.0.1:1"]).end().await.exit(6);
    let body: Value = serde_json::from_str(&away.err).unwrap();
    assert_eq!(body["error"], "unavailable");
    assert!(body["message"].as_str().unwrap().starts_with("cannot reach http://127.0.0.1:1/"), "{body}");
    assert!(body["detail"].as_str().unwrap().contains("DRYDOCK_API_URL"), "{body}");
    let usage = Drydock::new(&["-o", "json", "project", "cat", "P", "../x"]).end().await.exit(2);
    assert_eq!(serde_json::from_str::<Value>(&usage.err).unwrap()["error"], "usage");
}
