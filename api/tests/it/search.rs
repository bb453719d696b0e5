//! Search in logs: every matching line once, wherever the log's bytes are and however they are cut.

use drydock_database::{attempt, batch, report::Report};
use drydock_domain::{AttemptId, Outcome, TenantId};
use drydock_storage::SealedLogWriter;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, Worker, column, pick};

fn report(bytes: usize) -> Report {
    Report { log_bytes: i64::try_from(bytes).unwrap(), ..Report::default() }
}

/// Lines of which every third has `word` and its number.
fn lines(word: &str, count: usize) -> String {
    (1..=count).map(|n| format!("{n:06} {}\n", if n % 3 == 0 { word } else { "-" })).collect()
}

async fn seal(api: &Api, id: AttemptId, log: &[u8]) {
    let key = api.storage.keys(TenantId::DEFAULT).log(id);
    let mut writer = SealedLogWriter::create(&std::env::temp_dir()).unwrap();
    writer.push(log).unwrap();
    writer.seal(&api.storage, &key).await.unwrap();
    let client = api.database.client().await.unwrap();
    attempt::seal(&client, id, key.as_str(), i64::try_from(log.len()).unwrap()).await.unwrap();
}

impl Api {
    /// Every page of a search, and the last one's total.
    async fn pages(&self, path: &str) -> (Vec<Value>, Value) {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await.expect(200).json();
            items.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (items, page),
            }
        }
    }
}

#[tokio::test]
async fn a_log_is_searched_alike_in_every_state() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let path = format!("/projects/{project}/jobs/{job}/logs/search?q=ERROR");
    let untried = json!({"items": [], "total": 0, "complete": true, "ended": false});
    assert_eq!(api.get(&path).await.expect(200).json(), untried);

    let log = lines("ERROR €", 30_000);
    let attempt = worker.claim(&job).await;
    // Borders in the middle of lines, words and characters; one part is an object.
    let cuts = [0, 17, 32_000, 33_333, 300_001, log.len()];
    for (seq, cut) in (0..).zip(cuts.windows(2)) {
        let bytes = &log.as_bytes()[cut[0]..cut[1]];
        if seq < 3 {
            worker.log(attempt, seq, cut[0], bytes).await
        } else {
            worker.segment(attempt, seq, cut[0], bytes).await
        }
    }
    let check = async |ended: bool| {
        let first = api.get(&path).await.expect(200).json();
        assert_eq!(pick(&first, "total complete ended attempt"), json!([10_000, true, ended, 1]));
        assert_eq!(first["items"].as_array().unwrap().len(), 50);
        let (items, last) = api.pages(&format!("{path}&limit=500")).await;
        assert_eq!((items.len(), &last["total"]), (10_000, &json!(10_000)));
        for (n, item) in (1..).zip(&items) {
            let text = format!("{:06} ERROR €", n * 3);
            assert_eq!(pick(item, "line text ranges"), json!([n * 3, text, [[7, 12]]]));
            let offset = usize::try_from(item["offset"].as_u64().unwrap()).unwrap();
            let bytes = usize::try_from(item["bytes"].as_u64().unwrap()).unwrap();
            assert_eq!(&log[offset..offset + bytes], text, "its place is one of the log");
        }
        let none = api.get(&path.replace("ERROR", "absent")).await.expect(200).json();
        assert_eq!(pick(&none, "items total complete next_cursor"), json!([[], 0, true, null]));
        let count = api.get(&format!("{path}&limit=0")).await.expect(200).json();
        assert_eq!(pick(&count, "items total complete"), json!([[], 10_000, true]));
    };
    check(false).await;
    worker.finish(&job, attempt, Outcome::Failed, &report(log.len()), None).await;
    check(true).await;
    seal(&api, attempt, log.as_bytes()).await;
    check(true).await;
}

#[tokio::test]
async fn each_attempt_is_searched_by_itself_and_a_page_stays_with_its_own() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, _) = api.project().await;
    let body = json!({"job_type": "command", "argv": ["x"], "read_only": true, "retries": 1});
    let job = api.job(&project, body).await;
    let path = format!("/projects/{project}/jobs/{job}/logs/search?q=x&limit=1");
    let first = worker.claim(&job).await;
    worker.log(first, 0, 0, b"x1\nx2\n").await;
    worker.finish(&job, first, Outcome::Failed, &report(6), None).await;
    let page = api.get(&path).await.expect(200).json();
    let second = worker.claim(&job).await;
    worker.log(second, 0, 0, b"no\nx3").await;
    let next = format!("{path}&cursor={}", page["next_cursor"].as_str().unwrap());
    let told = |page: &Value| {
        json!([page["items"][0]["text"], page["items"][0]["line"], page["total"], page["attempt"], page["ended"]])
    };
    assert_eq!(told(&page), json!(["x1", 1, 2, 1, true]));
    assert_eq!(told(&api.get(&next).await.expect(200).json()), json!(["x2", 2, 2, 1, true]));
    assert_eq!(told(&api.get(&path).await.expect(200).json()), json!(["x3", 2, 1, 2, false]));
    assert_eq!(told(&api.get(&format!("{path}&attempt=1")).await.expect(200).json()), json!(["x1", 1, 2, 1, true]));
    let refused = api.get(&format!("{next}&attempt=2")).await.expect(422);
    assert_eq!(refused.faults(), ["cursor: value_error"]);
    api.get(&format!("{path}&attempt=3")).await.expect(404);
    worker.log(second, 1, 5, b" grows\n").await;
    assert_eq!(told(&api.get(&path).await.expect(200).json()), json!(["x3 grows", 2, 1, 2, false]));
}

#[tokio::test]
async fn what_makes_no_sense_is_told_by_field() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let path = format!("/projects/{project}/jobs/{job}/logs/search");
    let long = "a".repeat(1001);
    for (query, faults) in [
        ("", vec!["q: missing"]),
        ("?q=", vec!["q: string_too_short"]),
        (&format!("?q={long}"), vec!["q: string_too_long"]),
        ("?q=a%0Ab", vec!["q: value_error"]),
        ("?q=(a&regex=true", vec!["q: value_error"]),
        ("?q=%5Cp%7BL%7D%7B999%7D%7B999%7D&regex=true", vec!["q: value_error"]),
        ("?q=a&regex=1", vec!["regex: enum"]),
        ("?q=a&cursor=x", vec!["cursor: value_error"]),
        ("?q=b&cursor=ab-1-0-1-0-1-0", vec!["cursor: value_error"]),
        ("?q=a&limit=501&stream=stdout", vec!["limit: less_than_equal", "stream: extra_forbidden"]),
    ] {
        assert_eq!(api.get(&format!("{path}{query}")).await.expect(422).faults(), faults, "{query}");
    }
    let told = api.get(&format!("{path}?q=a%7B2,1%7D&regex=true")).await.expect(422).error().1;
    let words =
        "The regular expression is wrong at character 2: invalid repetition count range, the start must be <= the end";
    assert_eq!(told[0]["msg"], words);
    let (elsewhere, _) = api.project().await;
    api.get(&format!("/projects/{elsewhere}/jobs/{job}/logs/search?q=a")).await.expect(404);
}

#[tokio::test]
async fn a_search_that_takes_too_long_goes_on_where_it_was() {
    let api = Api::start_with(&["--search-time", "5ms"]).await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    let log = lines("ERROR", 400_000);
    let attempt = worker.claim(&job).await;
    worker.finish(&job, attempt, Outcome::Failed, &report(log.len()), None).await;
    seal(&api, attempt, log.as_bytes()).await;
    let path = format!("/projects/{project}/jobs/{job}/logs/search?q=ERROR&limit=0");
    let first = api.get(&path).await.expect(200).json();
    assert_eq!((&first["complete"], first["next_cursor"].is_string()), (&json!(false), true), "{first}");
    let mut page = first;
    for _ in 0..10_000 {
        let Some(cursor) = page["next_cursor"].as_str().filter(|_| page["complete"] == false) else { break };
        page = api.get(&format!("{path}&cursor={cursor}")).await.expect(200).json();
    }
    assert_eq!(pick(&page, "total complete"), json!([133_333, true]));
}

#[tokio::test]
async fn a_batch_tells_which_jobs_printed_it_how_often_and_what() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let mut file = String::new();
    for _ in 0..5 {
        let (project, first) = api.project().await;
        worker.publish(&first, &[("a", Content::File(b"one"))]).await;
        let line = json!({"project_id": project, "job_type": "edit", "instruction": "do it"});
        file += &format!("{line}\n");
    }
    let id = api.post("/batches", &json!({"name": "many"})).await.expect(201).text("id");
    let request = api.request(reqwest::Method::POST, &format!("/batches/{id}/jobs"));
    Answer::of(request.header("content-type", "application/x-ndjson").body(file)).await.expect(200);
    let jobs = api.get(&format!("/jobs?batch={id}")).await.expect(200).json();
    let mut jobs: Vec<String> = column(&jobs["items"], "id").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    jobs.reverse();
    let client = api.database.client().await.unwrap();
    batch::step(&client, id.parse().unwrap(), 100, 1000).await.unwrap();
    // The first is not tried, the last still runs.
    for (job, log) in jobs[1..].iter().zip(["E101 bad\nfine\nE101 worse", "nothing\n", "E202 bad\n", "\nE101 at once"])
    {
        let attempt = worker.claim(job).await;
        worker.log(attempt, 0, 0, log.as_bytes()).await;
        if job != &jobs[4] {
            worker.finish(job, attempt, Outcome::Failed, &report(log.len()), None).await;
        }
    }
    let path = format!("/batches/{id}/logs/search?regex=true&q=E%5Cd%2B");
    let found = api.get(&path).await.expect(200).json();
    let told: Vec<Value> =
        found["items"].as_array().unwrap().iter().map(|item| pick(item, "line job_id status attempt total")).collect();
    let expected = [
        json!([2, jobs[1], "error", 1, 2]),
        json!([4, jobs[3], "error", 1, 1]),
        json!([5, jobs[4], "in_progress", 1, 1]),
    ];
    assert_eq!(
        (told, pick(&found, "searched unreadable complete next_cursor")),
        (expected.to_vec(), json!([4, [], true, null]))
    );
    assert_eq!(pick(&found["items"][2]["first"], "line offset text ranges"), json!([2, 1, "E101 at once", [[0, 4]]]));
    let groups = json!([{"text": "E101", "jobs": 2, "job_ids": [jobs[1], jobs[4]]}, {"text": "E202", "jobs": 1, "job_ids": [jobs[3]]}]);
    assert_eq!(found["groups"], groups);
    assert_eq!(api.pages(&format!("{path}&limit=1")).await.0, *found["items"].as_array().unwrap());
    let lines = api.stream(&path, &[("accept", "application/x-ndjson")]).await;
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = lines.rest().await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(column(&json!(lines), "event"), ["job", "job", "job", "end"]);
    assert_eq!(column(&json!(lines[..3]), "data"), *found["items"].as_array().unwrap());
    let mut rest = found.clone();
    rest.as_object_mut().unwrap().remove("items");
    assert_eq!(lines[3]["data"], rest);
    let after = api.get(&format!("{path}&cursor={}", lines[0]["id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(after["items"], json!(found["items"].as_array().unwrap()[1..]), "each says where to go on");
    let failed = api.get(&format!("{path}&status=error")).await.expect(200).json();
    assert_eq!(column(&failed["items"], "line"), [json!(2), json!(4)]);
    let refused = api.get(&format!("{path}&limit=0&status=x&cursor=1-1-1-1")).await.expect(422);
    assert_eq!(refused.faults(), ["status: enum", "limit: greater_than_equal", "cursor: value_error"]);
    api.get(&format!("/batches/{}/logs/search?q=a", jobs[0])).await.expect(404);
}
