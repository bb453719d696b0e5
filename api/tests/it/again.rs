//! Ending a job and running it again: cancel in every state, retry of what is over, the quarantine.

use drydock_database::{job, report::Report};
use drydock_domain::{JobId, Outcome, TenantId};
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Worker, column, pick};

async fn cancel(api: &Api, job: &str) -> Answer {
    api.post(&format!("/jobs/{job}/cancel"), &json!({"reason": "changed my mind"})).await
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let pending = api.job(&project, json!({"job_type": "edit", "instruction": "x"})).await;
    let later = json!({"job_type": "edit", "instruction": "x", "run_at": "2999-01-01T00:00:00Z"});
    let scheduled = api.job(&project, later).await;
    let dependent = api.job(&project, json!({"job_type": "edit", "instruction": "x", "depends_on": [pending]})).await;
    for (job, stood) in
        [(&dependent, "scheduled"), (&scheduled, "scheduled"), (&pending, "pending"), (&first, "queued")]
    {
        assert_eq!(api.get(&format!("/jobs/{job}")).await.text("status_detail"), stood);
        let answer = cancel(&api, job).await.expect(200).json();
        let expected = json!(["cancelled", "cancelled", "changed my mind", "canceled", null]);
        assert_eq!(pick(&answer, "status status_detail cancel_reason failure_kind waiting"), expected, "{stood}");
        let again = api.post(&format!("/jobs/{job}/cancel"), &json!({})).await.expect(200).json();
        assert_eq!(again, answer, "final: unchanged");
    }
    let ended = api.get("/jobs?status=cancelled").await.json();
    assert_eq!(ended["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_running_job_is_cancelled_by_its_worker() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&job).await;
    for _ in 0..2 {
        let answer = cancel(&api, &job).await.expect(202).json();
        assert_eq!(pick(&answer, "status status_detail"), json!(["in_progress", "cancelling"]));
    }
    worker.finish(&job, attempt, Outcome::Canceled, &Report::default(), None).await;
    let over = cancel(&api, &job).await.expect(200).json();
    assert_eq!(pick(&over, "status status_detail"), json!(["cancelled", "cancelled"]));
}

#[tokio::test]
async fn a_cancel_wakes_who_waits() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    api.job(&project, json!({"job_type": "edit", "instruction": "x"})).await;
    let mut work = drydock_database::wake::listen(&api.database, drydock_database::wake::Channel::Work, &api.shutdown);
    work.changed().await.unwrap();
    let path = format!("/jobs/{first}?wait=15s");
    let waiting = api.get(&path);
    let (over, _) = tokio::join!(waiting, async {
        work.mark_unchanged();
        cancel(&api, &first).await.expect(200);
        tokio::time::timeout(crate::harness::PATIENCE, work.changed()).await.expect("the dispatcher is woken").unwrap();
    });
    assert_eq!(over.expect(200).text("status"), "cancelled");
}

#[tokio::test]
async fn what_cannot_be_cancelled_or_run_again_is_told_so() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let nobody = "00000000-0000-0000-0000-000000000009";
    for verb in ["cancel", "retry"] {
        for id in [nobody, "x"] {
            let answer = api.post(&format!("/jobs/{id}/{verb}"), &json!({})).await.expect(404);
            assert_eq!(answer.error(), ("not_found".to_owned(), json!("Job not found")));
        }
        assert_eq!(
            api.post(&format!("/jobs/{job}/{verb}"), &json!({"x": 1})).await.expect(422).faults(),
            ["x: extra_forbidden"]
        );
    }
    let long = json!({"reason": "ß".repeat(501)});
    assert_eq!(api.post(&format!("/jobs/{job}/cancel"), &long).await.expect(422).faults(), ["reason: string_too_long"]);
    let early = api.post(&format!("/jobs/{job}/retry"), &json!({})).await.expect(409);
    let detail = "Job is queued: only a job that is over can be run again; it can be cancelled first";
    assert_eq!(early.error(), ("conflict".to_owned(), json!(detail)));
    assert_eq!(early.text("message"), "Conflict");
    // A body is optional.
    let bare = api.request(reqwest::Method::POST, &format!("/jobs/{job}/cancel"));
    Answer::of(bare).await.expect(200);
}

#[tokio::test]
async fn a_job_that_is_over_is_run_again_as_it_was() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let asked = json!({"job_type": "command", "argv": ["make"], "title": "Build", "priority": 4, "retries": 2, "timeout_s": 9,
                       "queue_timeout_s": 8, "silence_timeout_s": 7, "labels": {"a": "b"}, "requires": {"c": "d"},
                       "keep_on_error": true, "depends_on": [first]});
    let job = api.job(&project, asked).await;
    cancel(&api, &first).await.expect(200);
    job::end_waits(&api.database.client().await.unwrap(), 10).await.unwrap();
    let broken = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(pick(&broken, "status status_detail failure_kind"), json!(["error", "dependency", "dependency"]));
    let path = broken["retry_path"].as_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let key = [("idempotency-key", "again")];
    let again = api.post_with(&path, &json!({}), &key).await.expect(202);
    let id = again.text("id");
    assert_eq!(again.header("location").unwrap(), format!("/api/v1/jobs/{id}"));
    assert_eq!(pick(&again.json(), "retry_of status_detail title depends_on"), json!([job, "queued", "Build", null]));
    let replayed = api.post_with(&path, &json!({}), &key).await.expect(202);
    assert_eq!((replayed.text("id"), replayed.header("idempotency-replayed")), (id.clone(), Some("true")));
    let rows = "SELECT to_jsonb(j) - '{id,state,created_at,updated_at,queued_at,run_at,expires_at,finished_at,retry_of,depends_on,unmet,errors,failure_kind}'::text[]
                  FROM job j WHERE id IN ($1::text::uuid, $2::text::uuid)";
    let rows = api.database.client().await.unwrap().query(rows, &[&job, &id]).await.unwrap();
    assert_eq!(rows[0].get::<_, Value>(0), rows[1].get::<_, Value>(0), "what was asked for is the same");
    // A success too, and a retry of a retry.
    api.database.client().await.unwrap().execute("UPDATE worker SET labels = '{\"c\": \"d\"}'", &[]).await.unwrap();
    let attempt = worker.claim(&id).await;
    worker.finish(&id, attempt, Outcome::Succeeded, &Report::default(), None).await;
    let third = api.post(&format!("/jobs/{id}/retry"), &json!({})).await.expect(202);
    assert_eq!(third.json()["retry_of"], id.as_str());
}

/// Lost three times over: given up, kept apart, replayed.
#[tokio::test]
async fn the_quarantine_is_listed_and_replayed() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let (_, other) = api.project().await;
    for loss in 1..=3 {
        let worker = Worker::start(&api, &["dummy"]).await;
        let attempt = worker.claim(&job).await;
        worker.log(attempt, 0, 0, b"last words\n").await;
        let client = api.database.client().await.unwrap();
        client.execute("UPDATE worker SET ended_at = now() WHERE ended_at IS NULL", &[]).await.unwrap();
        let reap = client.query_one("SELECT dd_reap_v2($1, interval '0')", &[&attempt.uuid()]).await.unwrap();
        assert_eq!(reap.get::<_, &str>(0), if loss < 3 { "queued" } else { "dead" });
    }
    for path in ["/jobs?detail=dead", "/jobs?detail=dead,error", "/jobs?detail=dead&status=error"] {
        assert_eq!(column(&api.get(path).await.expect(200).json()["items"], "id"), [json!(job)], "{path}");
    }
    let dead = api.get(&format!("/jobs/{job}")).await.json();
    let shown = pick(&dead, "status status_detail failure_kind output retry_path");
    assert_eq!(shown, json!(["error", "dead", "lost", "last words\n", format!("/api/v1/jobs/{job}/retry")]));
    assert!(
        dead["errors"][0]
            .as_str()
            .unwrap()
            .starts_with("given up: three workers were lost while they ran it; the last: worker test-")
    );
    let attempts = dead["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    for attempt in attempts {
        assert_eq!(pick(attempt, "outcome base_version"), json!(["lost", 0]));
        assert!(attempt["detail"].as_str().unwrap().ends_with("was lost"), "{attempt}");
    }
    let replay = api.post(&format!("/jobs/{job}/retry"), &json!({})).await.expect(202);
    assert_eq!(pick(&replay.json(), "retry_of status_detail"), json!([job, "queued"]));
    let project = dead["project_id"].as_str().unwrap();
    let listed = api.get(&format!("/projects/{project}/jobs?detail=dead")).await.json();
    assert_eq!(column(&listed["items"], "id"), [json!(job)]);
    let elsewhere = api.get(&format!("/jobs/{other}")).await.text("project_id");
    let listed = api.get(&format!("/projects/{elsewhere}/jobs?detail=dead")).await.json();
    assert!(column(&listed["items"], "id").is_empty());
    let row = job::find(&api.database.client().await.unwrap(), TenantId::DEFAULT, job.parse::<JobId>().unwrap()).await;
    assert_eq!(row.unwrap().unwrap().detail, "dead");
}
