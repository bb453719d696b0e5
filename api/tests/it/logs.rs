//! Logs: the same bytes at the same offsets while they grow, when the attempt is over, and when they are sealed.

use drydock_database::{attempt, report::Report};
use drydock_domain::{AttemptId, Outcome, TenantId};
use drydock_storage::SealedLogWriter;

use crate::harness::{Api, Worker};

const PARTS: [&[u8]; 3] = [b"line one\n", "caf\u{e9} \u{20ac}".as_bytes(), b"\xff\xfe tail\n"];

fn whole() -> Vec<u8> {
    PARTS.concat()
}

fn report(bytes: usize) -> Report {
    Report { log_bytes: i64::try_from(bytes).unwrap(), ..Report::default() }
}

/// Two chunks that cut a character in two.
async fn write(worker: &Worker, attempt: AttemptId) {
    let all = whole();
    worker.log(attempt, 0, 0, &all[..13]).await;
    worker.log(attempt, 1, 13, &all[13..]).await;
}

async fn seal(api: &Api, id: AttemptId) {
    let key = api.storage.keys(TenantId::DEFAULT).log(id);
    let mut writer = SealedLogWriter::create(&std::env::temp_dir()).unwrap();
    writer.push(&whole()).unwrap();
    writer.seal(&api.storage, &key).await.unwrap();
    let client = api.database.client().await.unwrap();
    let bytes = i64::try_from(whole().len()).unwrap();
    attempt::seal(&client, id, key.as_str(), bytes).await.unwrap();
}

/// What every reader must get, at any moment from the last byte on.
async fn check(api: &Api, path: &str, when: &str) {
    let all = whole();
    let answer = api.get(path).await.expect(200);
    assert_eq!(answer.body, all, "{when}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    for (range, expected) in [("bytes=0-3", &all[..4]), ("bytes=12-", &all[12..]), ("bytes=-5", &all[all.len() - 5..])]
    {
        let part = api.get_with(path, &[("range", range)]).await.expect(206);
        assert_eq!(part.body, expected, "{when} {range}");
        assert!(part.header("content-range").unwrap().ends_with(&format!("/{}", all.len())));
    }
    let beyond = api.get_with(path, &[("range", "bytes=99-")]).await.expect(416);
    assert_eq!(
        (beyond.header("content-range").unwrap(), beyond.error().0.as_str()),
        (format!("bytes */{}", all.len()).as_str(), "range_not_satisfiable")
    );
}

#[tokio::test]
async fn a_log_reads_the_same_in_every_state() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let path = format!("/projects/{project}/jobs/{job}/logs");
    assert_eq!(api.get(&path).await.expect(200).body, b"", "no attempt yet");
    let live = api.stream(&format!("{path}/stream"), &[]).await;
    let attempt = worker.claim(&job).await;
    write(&worker, attempt).await;
    check(&api, &path, "while it runs").await;
    worker.finish(&job, attempt, Outcome::Failed, &report(whole().len()), None).await;
    check(&api, &path, "when it is over").await;
    let streamed = live.all().await;
    for pair in streamed.windows(2) {
        assert_eq!(pair[1].data["offset"].to_string(), pair[0].id, "frames follow each other: {pair:?}");
    }
    let text: String = streamed.iter().filter_map(|frame| frame.data["text"].as_str()).collect();
    assert_eq!(text, String::from_utf8_lossy(&whole()), "the cut character is whole");
    let last = &streamed[streamed.len() - 2];
    assert_eq!(last.id, whole().len().to_string());
    seal(&api, attempt).await;
    check(&api, &path, "when it is sealed").await;
    let again = api.stream(&format!("{path}/stream"), &[]).await.all().await;
    let text: String = again.iter().filter_map(|frame| frame.data["text"].as_str()).collect();
    assert_eq!(text, String::from_utf8_lossy(&whole()));
    comes_back(&api, &path, again[0].data["text"].as_str().unwrap()).await;
}

/// A reader that comes back goes on where it was, and one that had all is told so.
async fn comes_back(api: &Api, path: &str, first: &str) {
    let resumed = api.stream(&format!("{path}/stream?after=2"), &[("last-event-id", "9")]).await.all().await;
    assert_eq!((resumed[0].data["offset"].as_u64(), resumed[0].data["text"].as_str()), (Some(9), Some(&first[9..])));
    let done = api.stream(&format!("{path}/stream?after={}", whole().len()), &[]).await.all().await;
    assert_eq!(done.len(), 1, "only the end");
}

#[tokio::test]
async fn a_stream_goes_on_when_the_log_is_sealed_under_it() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    let all = whole();
    worker.log(attempt, 0, 0, &all[..9]).await;
    let mut stream = api.stream(&format!("/projects/{project}/jobs/{job}/logs/stream"), &[]).await;
    assert_eq!(stream.next().await.unwrap().data["text"], "line one\n");
    // The stream waits; meanwhile the rest is written, the attempt ends and its rows go, all between two looks or not.
    worker.log(attempt, 1, 9, &all[9..]).await;
    worker.finish(&job, attempt, Outcome::Failed, &report(all.len()), None).await;
    seal(&api, attempt).await;
    let rest = stream.all().await;
    let text: String = rest.iter().filter_map(|frame| frame.data["text"].as_str()).collect();
    assert_eq!(text, String::from_utf8_lossy(&all[9..]));
}

#[tokio::test]
async fn each_attempt_has_its_log() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, _) = api.project().await;
    let body = serde_json::json!({"job_type": "command", "argv": ["x"], "read_only": true, "retries": 1});
    let job = api.job(&project, body).await;
    let path = format!("/projects/{project}/jobs/{job}/logs");
    for (number, words) in [(1, "first"), (2, "second")] {
        let attempt = worker.claim(&job).await;
        worker.log(attempt, 0, 0, words.as_bytes()).await;
        worker.finish(&job, attempt, Outcome::Failed, &report(words.len()), None).await;
        assert_eq!(api.get(&path).await.body, words.as_bytes(), "the newest by default");
        assert_eq!(api.get(&format!("/jobs/{job}")).await.json()["attempts"].as_array().unwrap().len(), number);
    }
    assert_eq!(api.get(&format!("{path}?attempt=1")).await.body, b"first");
    assert_eq!(api.get(&format!("{path}?attempt=2")).await.body, b"second");
    assert_eq!(api.get(&format!("{path}?attempt=3")).await.expect(404).error().1, "Attempt not found");
    let bad = api.get(&format!("{path}?attempt=0&x=1")).await.expect(422);
    assert_eq!(bad.faults(), ["attempt: greater_than_equal", "x: extra_forbidden"]);
    let (elsewhere, _) = api.project().await;
    api.get(&format!("/projects/{elsewhere}/jobs/{job}/logs")).await.expect(404);
}

#[tokio::test]
async fn lost_bytes_keep_their_place() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    worker.log(attempt, 0, 0, b"one\n").await;
    worker.log(attempt, 2, 50, b"three\n").await;
    worker.finish(&job, attempt, Outcome::Failed, &report(60), None).await;
    let path = format!("/projects/{project}/jobs/{job}/logs");
    let body = String::from_utf8(api.get(&path).await.expect(200).body).unwrap();
    let gap = format!("{:45}\n", "[46 bytes of the log are lost]");
    assert_eq!(body, format!("one\n{gap}three\n[4 \n"));
    let frames = api.stream(&format!("{path}/stream"), &[]).await.all().await;
    assert_eq!(frames.last().unwrap().data["offset"], 60);
}

#[tokio::test]
async fn segments_in_object_storage_are_part_of_the_log() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    worker.log(attempt, 0, 0, b"row ").await;
    worker.segment(attempt, 1, 4, b"object ").await;
    worker.log(attempt, 2, 11, b"row").await;
    let path = format!("/projects/{project}/jobs/{job}/logs");
    assert_eq!(api.get(&path).await.expect(200).body, b"row object row");
    let part = api.get_with(&path, &[("range", "bytes=6-12")]).await.expect(206);
    assert_eq!(part.body, b"ject ro");
}
