//! How often a tenant may ask for jobs.

use serde_json::json;

use crate::harness::{Answer, Api};

#[tokio::test]
async fn who_asks_for_jobs_too_often_is_told_when_to_come_again() {
    let api = Api::start_with(&["--job-rate", "1", "--job-burst", "3"]).await;
    let limits = api.get("/limits").await.expect(200).json();
    assert_eq!((&limits["job_requests_per_s"], &limits["job_requests_burst"]), (&json!(1), &json!(3)));
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let faulty = api.post(&path, &json!({"job_type": "edit"})).await.expect(422);
    assert_eq!(faulty.header("ratelimit-policy"), Some("\"jobs\";q=3;w=3"));
    assert!(faulty.header("ratelimit").unwrap().starts_with("\"jobs\";r="), "a refused request counts as well");
    let job = api.job(&project, json!({"job_type": "edit", "instruction": "do it"})).await;
    let refused = api.until_too_often(&format!("/jobs/{job}/retry")).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"jobs\";r=0;t=1"));
    let (error, detail) = refused.error();
    assert_eq!(error, "rate_limited");
    assert!(detail.as_str().unwrap().starts_with("At most 1 requests a second that make jobs, 3 at once; submit many"));

    // What makes no job is not counted, nor does a refusal reach the audit log.
    let read = api.get(&format!("/jobs/{job}")).await.expect(200);
    assert_eq!(read.header("ratelimit"), None);
    api.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(200);
    let log = api.get("/audit?action=job.retry&limit=500").await.expect(200).json();
    assert!(log["items"].as_array().unwrap().iter().all(|entry| entry["status"] != 429), "{log}");
    let metrics = String::from_utf8(api.get("//metrics").await.expect(200).body).unwrap();
    assert!(metrics.contains("\ndrydock_api_rate_limited_total 1\n"));
}

#[tokio::test]
async fn what_the_audit_log_records_comes_at_a_rate_whatever_comes_of_it() {
    let api = Api::start_with(&["--change-rate", "1", "--change-burst", "5"]).await;
    let limits = api.get("/limits").await.expect(200).json();
    assert_eq!((&limits["change_requests_per_s"], &limits["change_requests_burst"]), (&json!(1), &json!(5)));
    let missing = "/keys/00000000-0000-0000-0000-000000000009";
    let first = api.delete(missing).await.expect(404);
    assert_eq!(first.header("ratelimit-policy"), Some("\"changes\";q=5;w=5"));
    let mut asked = 1;
    let refused = loop {
        let answer = api.delete(missing).await;
        if answer.status == 429 {
            break answer;
        }
        asked += 1;
        assert!(asked < 1000, "a thousand requests passed");
    };
    assert_eq!(refused.header("retry-after"), Some("1"));
    let detail = refused.error().1;
    assert!(detail.as_str().unwrap().starts_with("At most 1 requests a second that may change something, 5 at once"));
    // Neither what reads nor what makes jobs counts with it, and a refusal is not worth a record.
    api.get("/keys").await.expect(200);
    api.project().await;
    let log = api.get("/audit?action=key.revoke&limit=500").await.expect(200).json();
    assert_eq!(log["items"].as_array().unwrap().len(), asked);
    let metrics = String::from_utf8(api.get("//metrics").await.expect(200).body).unwrap();
    assert!(metrics.contains("\ndrydock_api_changes_limited_total 1\n"));
}

#[tokio::test]
async fn a_batch_counts_once_whatever_its_lines() {
    let api = Api::start_with(&["--job-rate", "1", "--job-burst", "2"]).await;
    let (project, _) = api.project().await;
    let batch = api.post("/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let line = format!("{{\"project_id\": \"{project}\", \"job_type\": \"edit\", \"instruction\": \"do it\"}}\n");
    let path = format!("/batches/{batch}/jobs");
    let request = api.request(reqwest::Method::POST, &path).header("content-type", "application/x-ndjson");
    let taken = Answer::of(request.body(line.repeat(500))).await.expect(200);
    assert_eq!(taken.json()["accepted"], 500);
    assert!(taken.header("ratelimit").unwrap().starts_with("\"jobs\";r="));
    api.until_too_often(&path).await;
}

impl Api {
    /// Asks for jobs that are refused for other reasons until it is for having asked too often.
    async fn until_too_often(&self, path: &str) -> Answer {
        for _ in 0..1000 {
            let answer = self.post(path, &json!({})).await;
            if answer.status == 429 {
                return answer;
            }
        }
        panic!("a thousand requests passed");
    }
}
