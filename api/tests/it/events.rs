//! Events: gapless, resumable, on any replica, and over when the job is.

use drydock_database::{event, job, report::Report};
use drydock_domain::{Outcome, TenantId};
use serde_json::{Value, json};

use crate::harness::{Api, Content, Worker, column, pick};

#[tokio::test]
async fn a_jobs_events_come_as_they_happen_and_end_with_it() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, job) = api.project().await;
    let mut stream = api.stream(&format!("/jobs/{job}/events"), &[]).await;
    let header = |name: &str| stream.headers.get(name).unwrap().to_str().unwrap().to_owned();
    let names = ["content-type", "cache-control", "x-accel-buffering"];
    assert_eq!(names.map(header), ["text/event-stream", "no-store", "no"]);
    let first = stream.next().await.unwrap();
    assert_eq!((first.event.as_str(), pick(&first.data, "status job_id")), ("status", json!(["queued", job])));
    let attempt = worker.claim(&job).await;
    assert_eq!(stream.next().await.unwrap().data["status_detail"], "materializing");
    let client = api.database.client().await.unwrap();
    job::progress(&client, attempt, &["one".to_owned(), "two".to_owned()]).await.unwrap();
    for message in ["one", "two"] {
        let frame = stream.next().await.unwrap();
        assert_eq!((frame.event.as_str(), &frame.data["message"]), ("progress", &json!(message)));
    }
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default(), None).await;
    let last = stream.all().await;
    assert_eq!(last.iter().map(|frame| &frame.data["status"]).collect::<Vec<_>>(), ["completed", "completed"]);
}

#[tokio::test]
async fn a_line_of_events_resumes_anywhere_and_has_two_forms() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, job) = api.project().await;
    worker.publish(&job, &[("a", Content::File(b"x"))]).await;
    let path = format!("/jobs/{job}/events");
    let all = api.stream(&path, &[]).await.all().await;
    assert_eq!(all.len(), 4);
    for (at, frame) in all[..3].iter().enumerate() {
        let header = [("last-event-id", frame.id.as_str())];
        let by_header = api.stream(&format!("{path}?after=0-0"), &header).await.all().await;
        let by_query = api.stream(&format!("{path}?after={}", frame.id), &[]).await.all().await;
        let rest = &all[at + 1..];
        assert_eq!((&by_header[..], &by_query[..]), (rest, rest), "after {}", frame.id);
    }
    let lines = api.stream(&path, &[("accept", "application/x-ndjson")]).await.rest().await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(column(&json!(lines), "event"), ["status", "status", "status", "end"]);
    assert_eq!(pick(&lines[0], "id data"), json!([all[0].id, all[0].data]));
    assert_eq!(api.get(&format!("{path}?after=x")).await.expect(422).faults(), ["after: value_error"]);
}

#[tokio::test]
async fn an_event_is_not_told_before_an_older_one() {
    let api = Api::start().await;
    let (_, late) = api.project().await;
    let (_, early) = api.project().await;
    let mut stream = api.stream("/events?after=0-0", &[]).await;
    assert_eq!(stream.next().await.unwrap().data["job_id"], late);
    let frame = stream.next().await.unwrap();
    let place = frame.id;
    assert_eq!(frame.data["job_id"], early);
    // The older transaction writes its event first and commits last.
    let mut client = api.database.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let tell = "INSERT INTO event (tenant_id, project_id, job_id, kind, data)
                SELECT tenant_id, project_id, id, 'progress', '{}' FROM job WHERE id = $1";
    let id = |job: &str| job.parse::<uuid::Uuid>().unwrap();
    transaction.execute(tell, &[&id(&late)]).await.unwrap();
    let other = api.database.client().await.unwrap();
    other.execute(tell, &[&id(&early)]).await.unwrap();
    // No reader sees the younger one: not this stream, not one of a single job, not what wakes them.
    let place = place.parse().unwrap();
    assert!(event::of_tenant(&other, TenantId::DEFAULT, place, 9).await.unwrap().is_empty());
    let of_job = event::of_job(&other, early.parse().unwrap(), place, 9).await.unwrap();
    assert!(of_job.is_empty(), "{of_job:?}");
    assert_eq!(event::since(&other, place, 9).await.unwrap(), []);
    transaction.commit().await.unwrap();
    let told = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    assert_eq!(told.map(|frame| frame.data["job_id"].clone()), [json!(late), json!(early)]);
}

#[tokio::test]
async fn the_line_of_all_events_starts_now_and_streams_are_bounded() {
    let api = Api::start_with(&["--stream-limit", "2"]).await;
    let (_, before) = api.project().await;
    // Other databases of the server share its transaction ids, so what was just written may not be the past yet.
    let client = api.database.client().await.unwrap();
    drydock_testing::until("the first event is in the past", crate::harness::PATIENCE, async || {
        let past = "SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot()) FROM event";
        client.query_one(past, &[]).await.unwrap().get::<_, bool>(0).then_some(())
    })
    .await;
    let mut stream = api.stream("/events", &[]).await;
    let (_, after) = api.project().await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.data["job_id"], after, "not {before}");
    let second = api.stream(&format!("/jobs/{before}/events"), &[]).await;
    let refused = api.get("/events").await.expect(503);
    assert_eq!((refused.error().0.as_str(), refused.header("retry-after")), ("unavailable", Some("2")));
    drop(second);
    drydock_testing::until("the place is free again", crate::harness::PATIENCE, async || {
        let stream = api.request(reqwest::Method::GET, "/events").send().await.unwrap();
        (stream.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let mut stream = api.stream(&format!("/jobs/{job}/events"), &[]).await;
    stream.next().await.unwrap();
    let held = drydock_runtime::tasks::spawn(
        "held",
        api.request(reqwest::Method::GET, &format!("/jobs/{job}?wait=60s")).send(),
    );
    // Both requests are with the service once it says so itself.
    drydock_testing::until("two requests run", crate::harness::PATIENCE, async || {
        let open = api.database.client().await.unwrap();
        drop(open);
        (api.get("//metrics").await.body.windows(21).any(|text| text == b"drydock_api_streams 1")).then_some(())
    })
    .await;
    api.stop().await;
    assert_eq!(stream.next().await, None, "a clean end, without an end of the job");
    let answer = held.await.unwrap();
    // Held or not yet read when the stop came: either way no half an answer.
    assert!(answer.is_err() || answer.unwrap().status() == 200);
}

#[tokio::test]
async fn events_are_in_the_order_of_numbers_not_of_digits() {
    let api = Api::start().await;
    let (_, job) = api.project().await;
    let client = api.database.client().await.unwrap();
    let tell = "INSERT INTO event (xid, tenant_id, project_id, job_id, kind, data)
                SELECT x::text::xid8, tenant_id, project_id, id, 'progress', '{}' FROM job, unnest(ARRAY[10, 9, 100]) AS x";
    client.execute(tell, &[]).await.unwrap();
    let id = job.parse().unwrap();
    for limit in [1, 2, 3] {
        let mut seen = Vec::new();
        let mut place = event::EventCursor::default();
        while seen.len() < 3 {
            let rows = event::of_job(&client, id, place, limit).await.unwrap();
            let woken = event::since(&client, place, limit).await.unwrap();
            assert_eq!(
                rows.iter().map(|row| row.cursor).collect::<Vec<_>>(),
                woken.iter().map(|row| row.0).collect::<Vec<_>>()
            );
            place = rows.last().unwrap().cursor;
            seen.extend(rows.iter().map(|row| row.cursor.xid));
        }
        assert_eq!(seen[..3], [9, 10, 100], "{limit} at once");
    }
}
