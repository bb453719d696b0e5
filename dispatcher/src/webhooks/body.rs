//! What a message says: `{type, timestamp, data}`, the payload of Standard Webhooks. It is made anew for each try, from what does not change
//! after the end, so that each says the same; and it is bounded: texts are cut, lists of files are numbers.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use drydock_database::webhook::{Claim, JobEnd};
use drydock_domain::{JobState, webhook::TEST_EVENT};
use serde_json::{Map, Value, json};

/// The message of a claim. `None`: what it tells of is not there any more.
pub(super) fn body(claim: &Claim, job: Option<&JobEnd>) -> Option<Bytes> {
    let data = match (claim.job, claim.batch) {
        (Some(_), _) => of_job(job?),
        (None, Some(batch)) => of_batch(batch, claim.data.as_ref()?),
        (None, None) if claim.event == TEST_EVENT => json!({"webhook_id": claim.webhook}),
        (None, None) => return None,
    };
    let message = json!({"type": claim.event, "timestamp": told(claim.happened_at), "data": data});
    Some(Bytes::from(message.to_string()))
}

fn of_job(job: &JobEnd) -> Value {
    let [created, modified, deleted] = job.files;
    let (id, project) = (job.id, job.project_id);
    plain(json!({
        "id": id,
        "project_id": project,
        "batch_id": job.batch_id,
        "retry_of": job.retry_of,
        "job_type": job.job_type,
        "title": job.title,
        "status": job.state.status(),
        "status_detail": (job.state == JobState::Dead).then_some("dead"),
        "summary": job.summary,
        "failure_kind": job.failure_kind,
        "cancel_reason": job.cancel_reason,
        "errors": job.errors,
        "version": job.version,
        "attempts": job.attempts,
        "files": {"created": created, "modified": modified, "deleted": deleted},
        "labels": job.labels,
        "created_at": told(job.created_at),
        "started_at": job.started_at.map(told),
        "finished_at": job.finished_at.map(told),
        "links": {
            "job": format!("/api/v1/jobs/{id}"),
            "project": format!("/api/v1/projects/{project}"),
            "logs": format!("/api/v1/projects/{project}/jobs/{id}/logs"),
            "files": format!("/api/v1/projects/{project}/files"),
        },
    }))
}

fn of_batch(id: uuid::Uuid, end: &Value) -> Value {
    let mut data = end.as_object().cloned().unwrap_or_default();
    data.insert("id".to_owned(), json!(id));
    let links = json!({"batch": format!("/api/v1/batches/{id}"), "results": format!("/api/v1/batches/{id}/results")});
    data.insert("links".to_owned(), links);
    plain(Value::Object(data))
}

/// Without what there is none of, as everywhere in the API.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn told(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use drydock_domain::{DeliveryId, JobId, JobType, ProjectId, TenantId, WebhookId};

    use super::*;

    /// Most that a message may be: what receivers take without a thought.
    const MOST: usize = 64 * 1024;

    fn claim(event: &str, job: Option<JobId>) -> Claim {
        Claim {
            id: DeliveryId::generate(),
            webhook: WebhookId::generate(),
            tenant: TenantId::DEFAULT,
            url: String::new(),
            secret: Vec::new(),
            old_secrets: Vec::new(),
            event: event.to_owned(),
            job,
            batch: None,
            data: None,
            step: 0,
            happened_at: DateTime::from_timestamp(1_763_700_000, 5_000).unwrap(),
            revision: 1,
        }
    }

    fn end(text: &str) -> JobEnd {
        let at = DateTime::from_timestamp(1_763_700_000, 0).unwrap();
        JobEnd {
            id: JobId::generate(),
            project_id: ProjectId::generate(),
            batch_id: None,
            retry_of: None,
            job_type: JobType::Edit,
            title: text.chars().take(200).collect(),
            state: JobState::Failed,
            summary: Some(text.chars().take(2000).collect()),
            failure_kind: Some("exit_code".to_owned()),
            cancel_reason: None,
            errors: vec![text.chars().take(500).collect(); 5],
            version: None,
            attempts: 1,
            labels: (0..32).map(|n| (format!("{n:063}"), json!(text.chars().take(255).collect::<String>()))).collect(),
            files: [1, 2, 3],
            created_at: at,
            started_at: None,
            finished_at: Some(at),
        }
    }

    #[test]
    fn a_job_s_end_is_told_without_what_there_is_none_of() {
        let job = end("text");
        let body = body(&claim("job.error", Some(job.id)), Some(&job)).unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&told["type"], &told["timestamp"]), (&json!("job.error"), &json!("2025-11-21T04:40:00.000005Z")));
        let data = &told["data"];
        assert_eq!(
            (&data["id"], &data["status"], &data["files"]["deleted"]),
            (&json!(job.id), &json!("error"), &json!(3))
        );
        assert_eq!(data["links"]["job"], json!(format!("/api/v1/jobs/{}", job.id)));
        assert!(data.as_object().unwrap().values().all(|value| !value.is_null()), "{data}");
    }

    #[test]
    fn the_longest_texts_make_a_message_that_is_bounded() {
        // Four bytes each, and six where JSON has to escape.
        for text in ["\u{1f600}".repeat(5000), "\u{1}".repeat(5000)] {
            let job = end(&text);
            let body = body(&claim("job.error", Some(job.id)), Some(&job)).unwrap();
            assert!(body.len() < 2 * MOST && body.len() > 1000, "{} bytes", body.len());
        }
    }

    #[test]
    fn what_is_gone_has_no_message() {
        assert!(body(&claim("job.completed", Some(JobId::generate())), None).is_none());
        assert!(body(&claim("moon.full", None), None).is_none());
        assert!(body(&claim(TEST_EVENT, None), None).is_some());
    }
}
