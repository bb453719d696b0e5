//! Batches over HTTP: lines in, errors by line, the same file twice, progress, results, and what people do to them.

use drydock_database::{batch, report::Report};
use drydock_domain::Outcome;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, Worker, body, column, names, pick, table, told};

const ZERO: &str = "00000000-0000-0000-0000-000000000009";

async fn make(api: &Api, change: Value) -> String {
    let mut body = json!({"name": "fix all"});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    api.post("/batches", &body).await.expect(201).text("id")
}

async fn send(api: &Api, path: &str, lines: impl Into<reqwest::Body>) -> Answer {
    let request = api.request(Method::POST, &format!("/batches/{path}"));
    Answer::of(request.header("content-type", "application/x-ndjson").body(lines)).await
}

fn line(project: &str, instruction: &str) -> String {
    json!({"project_id": project, "job_type": "edit", "instruction": instruction}).to_string() + "\n"
}

async fn results(api: &Api, path: &str) -> Vec<Value> {
    let answer = api.get(&format!("/batches/{path}")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the dispatcher's leader does.
async fn step(api: &Api, id: &str) {
    let client = api.database.client().await.unwrap();
    batch::step(&client, id.parse().unwrap(), 100, 1000).await.unwrap();
}

const REFUSED: &str = r#"
    {} => name | Field required | missing
    {"name": "", "canary": 0, "max_running": 1.5, "max_failure_rate": 1, "budget_slot_minutes": "x", "labels": [], "x": 1} => name | String should have at least 1 character | string_too_short & labels | Input should be a valid dictionary | dict_type & canary | Input should be greater than or equal to 1 | greater_than_equal & max_running | Input should be a valid integer, got a number with a fractional part | int_from_float & max_failure_rate | Input should be less than 1 | less_than & budget_slot_minutes | Input should be a valid integer, unable to parse string as an integer | int_parsing & x | Extra inputs are not permitted | extra_forbidden
    {"name": "n", "max_failure_rate": -0.1} => max_failure_rate | Input should be greater than or equal to 0 | greater_than_equal
    {"name": "n", "max_failure_rate": "0.1"} => max_failure_rate | Input should be a valid number | float_type
"#;

#[tokio::test]
async fn a_batch_that_does_not_pass_is_told_what_is_expected() {
    let api = Api::start().await;
    for (given, expected) in table(REFUSED) {
        assert_eq!(told(&api.post("/batches", &body(given)).await.expect(422)), expected, "{given}");
    }
    assert_eq!(api.get("/batches").await.expect(200).json(), json!({"items": []}));
}

#[tokio::test]
async fn a_batch_says_how_it_stands() {
    let api = Api::start().await;
    let all = json!({"canary": 2, "max_running": 9, "max_failure_rate": 0.1, "budget_slot_minutes": 30, "labels": {"a": "b"}});
    let id = make(&api, all).await;
    let view = api.get(&format!("/batches/{id}")).await.expect(200).json();
    let always = "budget_slot_minutes canary closed counts created_at held id labels max_failure_rate max_running name results_path \
                  slot_minutes status status_detail tokens total updated_at";
    assert_eq!(names(&view), always);
    assert_eq!(pick(&view, "name status status_detail total"), json!(["fix all", "queued", "open", 0]));
    assert_eq!(pick(&view, "max_failure_rate budget_slot_minutes"), json!([0.1, 30]));
    let changed =
        api.patch(&format!("/batches/{id}"), &json!({"name": "n", "max_running": 3})).await.expect(200).json();
    assert_eq!(pick(&changed, "name max_running canary labels"), json!(["n", 3, 2, {"a": "b"}]));
    let second = make(&api, json!({})).await;
    let page = api.get("/batches?limit=1").await.expect(200).json();
    assert_eq!(column(&page["items"], "id"), [json!(second)]);
    let rest = api.get(&format!("/batches?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(column(&rest["items"], "id"), [json!(id)]);
    for path in ["", "/results", "/failures", "/events"] {
        for id in [ZERO, "x"] {
            let answer = api.get(&format!("/batches/{id}{path}")).await.expect(404);
            assert_eq!(answer.error(), ("not_found".into(), json!("Batch not found")));
        }
    }
    for action in ["jobs", "close", "pause", "resume", "cancel", "retry-failed"] {
        assert_eq!(
            api.post(&format!("/batches/{ZERO}/{action}"), &json!({})).await.expect(404).text("error"),
            "not_found"
        );
    }
}

const LINES: &str = r#"
    # Each is one line of a file, the place of the fault is the place in the line.
    {"job_type": "edit", "instruction": "x"} => validation_error: project_id | Field required | missing
    {"project_id": "x", "job_type": "no", "y": 1} => validation_error: project_id | Input should be a valid UUID | uuid_parsing & job_type | Input should be 'initial_project', 'edit' or 'command' | enum & instruction | Field required | missing & y | Extra inputs are not permitted | extra_forbidden
    {"project_id": "PROJECT", "job_type": "edit", "instruction": "x", "depends_on": []} => validation_error: depends_on | Extra inputs are not permitted | extra_forbidden
    {"project_id": "PROJECT", "job_type": "edit", "instruction": "x", "agent": "nobody"} => validation_error: agent | no worker has ever offered agent 'nobody', nor any other | value_error
    {"project_id": "PROJECT", "fork_of": "PROJECT", "job_type": "edit", "instruction": "x"} => validation_error: project_id | a line has either project_id or fork_of | value_error
    {"project_id": "PROJECT", "version": 1, "job_type": "edit", "instruction": "x"} => validation_error: version | version goes with fork_of only | value_error
    {"project_id": "00000000-0000-0000-0000-000000000009", "job_type": "edit", "instruction": "x"} => not_found: Project not found
    {"fork_of": "00000000-0000-0000-0000-000000000009", "job_type": "edit", "instruction": "x"} => not_found: Project not found
    {"fork_of": "PROJECT", "version": 7, "job_type": "edit", "instruction": "x"} => not_found: Version not found
    {"project_id": => bad_request: Line is not valid JSON: EOF while parsing a value at line 1 column 14
    [1] => validation_error: body | Input should be a valid dictionary or object to extract fields from | model_attributes_type
"#;

/// The errors of an answer as in the table above.
fn errors(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            let word = error["error"].as_str().unwrap();
            let Some(rows) = error["detail"].as_array() else {
                return format!("{word}: {}", error["detail"].as_str().unwrap());
            };
            let rows = rows.iter().map(|row| {
                let at = row["loc"].as_array().unwrap().last().unwrap().as_str().unwrap();
                format!("{at} | {} | {}", row["msg"].as_str().unwrap(), row["type"].as_str().unwrap())
            });
            format!("{word}: {}", rows.collect::<Vec<_>>().join(" & "))
        })
        .collect()
}

#[tokio::test]
async fn lines_that_do_not_pass_keep_no_other_from_it() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let id = make(&api, json!({})).await;
    let (given, expected): (Vec<_>, Vec<_>) = table(LINES).unzip();
    let file: String =
        given.iter().map(|given| given.replace("PROJECT", &project) + "\n" + &line(&project, "good")).collect();
    let answer = send(&api, &format!("{id}/jobs"), file.clone()).await.expect(200).json();
    assert_eq!(errors(&answer), expected);
    assert_eq!(column(&answer["errors"], "line"), (0..11).map(|n| json!(2 * n + 1)).collect::<Vec<_>>());
    assert_eq!(pick(&answer, "accepted replayed refused errors_left_out"), json!([11, 0, 11, 0]));
    assert_eq!(pick(&answer["batch"], "total closed"), json!([11, false]), "it stays open for the mended lines");
    // Mended, the same file: what had passed is not run twice.
    let mended: String =
        (1..=22).map(|n| if n % 2 == 0 { line(&project, "good") } else { line(&project, "mended") }).collect();
    let answer = send(&api, &format!("{id}/jobs"), mended.clone()).await.expect(200).json();
    assert_eq!(pick(&answer, "accepted replayed refused"), json!([11, 11, 0]));
    assert_eq!(pick(&answer["batch"], "total closed"), json!([22, true]));
    let again = send(&api, &format!("{id}/jobs"), mended).await.expect(200).json();
    assert_eq!(pick(&again, "accepted replayed refused"), json!([0, 22, 0]), "the same file twice is one batch");
    let other = send(&api, &format!("{id}/jobs"), line(&project, "other")).await.expect(200).json();
    assert_eq!(
        errors(&other),
        [
            "conflict: This line came before with other contents: send it as a further line, or the file as another batch"
        ]
    );
    let late = send(&api, &format!("{id}/jobs?first_line=23"), line(&project, "late")).await.expect(409);
    assert_eq!(late.error().1, "Batch is closed, and line 23 is new to it: make another batch for it");
}

#[tokio::test]
async fn what_is_not_a_file_of_lines_is_told() {
    let api = Api::start_with(&["--body-limit", "200"]).await;
    let (project, _) = api.project().await;
    let id = make(&api, json!({})).await;
    let long = line(&project, &"x".repeat(200)) + "\n\r\n" + &line(&project, "fits");
    let answer = send(&api, &format!("{id}/jobs"), long).await.expect(200).json();
    assert_eq!(errors(&answer), ["payload_too_large: Line should have at most 200 bytes"]);
    assert_eq!(pick(&answer, "accepted refused"), json!([1, 1]), "line 4 passed");
    let binary = send(&api, &format!("{id}/jobs?first_line=9"), vec![b'{', 0xff, b'}']).await.expect(200).json();
    assert_eq!(errors(&binary), ["bad_request: Line is not valid UTF-8"]);
    let request =
        api.request(Method::POST, &format!("/batches/{id}/jobs")).header("content-type", "text/csv").body("a,b");
    assert_eq!(Answer::of(request).await.expect(415).error().1, "Content-Type should be application/x-ndjson");
    let wrong = send(&api, &format!("{id}/jobs?first_line=0&more=maybe&project_id=x&y=1"), "").await.expect(422);
    let faults = ["project_id: uuid_parsing", "first_line: greater_than_equal", "more: enum", "y: extra_forbidden"];
    assert_eq!(wrong.faults(), faults);
    let checked = send(&api, &format!("{id}/jobs?check=true&first_line=5"), line(&project, "a") + "{}\n")
        .await
        .expect(200)
        .json();
    assert_eq!(pick(&checked, "accepted refused"), json!([1, 1]));
    assert_eq!(checked["batch"]["total"], 1, "it was only looked at");
    let empty = make(&api, json!({})).await;
    let answer = send(&api, &format!("{empty}/jobs"), "\n").await.expect(200).json();
    step(&api, &empty).await;
    assert_eq!(pick(&answer["batch"], "total closed"), json!([0, true]));
    assert_eq!(api.get(&format!("/batches/{empty}")).await.json()["status"], "completed");
}

#[tokio::test]
async fn a_file_may_come_in_parts() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let id = make(&api, json!({})).await;
    let bare = |n: usize| json!({"job_type": "edit", "instruction": format!("do {n}")}).to_string() + "\n";
    let part = |from: usize, to: usize| (from..=to).map(bare).collect::<String>();
    let first = send(&api, &format!("{id}/jobs?project_id={project}&more=true"), part(1, 700)).await.expect(200).json();
    assert_eq!(pick(&first["batch"], "total closed status_detail"), json!([700, false, "queued"]));
    let path = format!("{id}/jobs?project_id={project}&first_line=701");
    let second = send(&api, &path, part(701, 1200)).await.expect(200).json();
    assert_eq!(pick(&second["batch"], "total closed held"), json!([1200, true, 1200]));
    let all = results(&api, &format!("{id}/results")).await;
    assert_eq!(all.iter().map(|row| row["line"].as_i64().unwrap()).collect::<Vec<_>>(), (1..=1200).collect::<Vec<_>>());
    assert_eq!(all[700]["title"], "do 701");
    assert_eq!(results(&api, &format!("{id}/results?after_line=1198")).await.len(), 2);
    let page = api.get(&format!("/jobs?batch={id}&limit=2")).await.expect(200).json();
    assert_eq!(pick(&page["items"][0], "batch_id batch_line"), json!([id, 1200]));
}

#[tokio::test]
async fn two_clients_with_one_key_and_file_make_one_batch() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let file: String = (0..900).map(|n| line(&project, &format!("do {n}"))).collect();
    let one = async || {
        let headers = [("idempotency-key", "the file's hash")];
        let id = api.post_with("/batches", &json!({"name": "n"}), &headers).await.expect(201).text("id");
        let answer = send(&api, &format!("{id}/jobs"), file.clone()).await.expect(200).json();
        (id, answer["accepted"].as_i64().unwrap())
    };
    let (a, b) = tokio::join!(one(), one());
    assert_eq!((&a.0, a.1 + b.1), (&b.0, 900));
    assert_eq!(api.get("/batches").await.json()["items"].as_array().unwrap().len(), 1);
    let reused =
        api.post_with("/batches", &json!({"name": "m"}), &[("idempotency-key", "the file's hash")]).await.expect(422);
    assert_eq!(reused.faults(), ["Idempotency-Key: value_error"]);
}

/// Best of three: as many forks of one version, each with a job of its own.
#[tokio::test]
async fn lines_may_each_have_a_fork() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (origin, first) = api.project().await;
    worker.publish(&first, &[("a", Content::File(b"one\n"))]).await;
    let id = make(&api, json!({})).await;
    let file =
        json!({"fork_of": origin, "version": 1, "job_type": "edit", "instruction": "improve"}).to_string() + "\n";
    let answer = send(&api, &format!("{id}/jobs"), file.repeat(3)).await.expect(200).json();
    assert_eq!(pick(&answer, "accepted refused"), json!([3, 0]));
    let again = send(&api, &format!("{id}/jobs"), file.repeat(3)).await.expect(200).json();
    assert_eq!(pick(&again, "accepted replayed"), json!([0, 3]));
    let rows = results(&api, &format!("{id}/results")).await;
    let forks: std::collections::BTreeSet<&str> = rows.iter().map(|row| row["project_id"].as_str().unwrap()).collect();
    assert_eq!((forks.len(), forks.contains(origin.as_str())), (3, false), "one each, made once");
    for fork in forks {
        assert_eq!(api.get(&format!("/projects/{fork}/files/a")).await.expect(200).body, b"one\n");
    }
    assert_eq!(api.get("/projects").await.json()["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn progress_results_and_failures() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let mut file = String::new();
    for n in 0..3 {
        let (project, first) = api.project().await;
        worker.publish(&first, &[("a", Content::File(b"one\n"))]).await;
        file += &line(&project, &format!("do {n}"));
    }
    let id = make(&api, json!({})).await;
    send(&api, &format!("{id}/jobs"), file).await.expect(200);
    let mut frames = api.stream(&format!("/batches/{id}/events"), &[]).await;
    let begun = frames.next().await.unwrap();
    assert_eq!((begun.event.as_str(), pick(&begun.data, "status total held")), ("progress", json!(["queued", 3, 3])));
    let held = api.get(&format!("/jobs?batch={id}")).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let waiting = api.get(&format!("/jobs/{held}")).await.json()["waiting"].clone();
    let expected = format!("its batch {id} lets its jobs go as the fleet takes them; position 3 among those it holds");
    assert_eq!(pick(&waiting, "rule message position"), json!(["batch", expected, 3]));
    step(&api, &id).await;
    let rows = results(&api, &format!("{id}/results")).await;
    let job = |n: usize| rows[n]["job_id"].as_str().unwrap();
    worker.publish(job(0), &[("a", Content::File(b"two\n"))]).await;
    for n in [1, 2] {
        let attempt = worker.claim(job(n)).await;
        let said = format!("job {} failed at /tmp/x/{n} after {n}7 s", job(n));
        let report = Report { errors: vec![said], ..Report::default() };
        worker.finish(job(n), attempt, Outcome::Failed, &report, None).await;
    }
    let now = api.get(&format!("/batches/{id}")).await.json();
    assert_eq!(now["counts"], json!({"queued": 0, "in_progress": 0, "completed": 1, "error": 2, "cancelled": 0}));
    step(&api, &id).await;
    let waited = api.get(&format!("/batches/{id}?wait=20s")).await.expect(200).json();
    assert_eq!(pick(&waited, "status closed held"), json!(["error", true, 0]));
    assert!(waited["finished_at"].is_string() && waited["started_at"].is_string(), "{waited}");
    let mut last = begun;
    while let Some(frame) = frames.next().await {
        last = frame;
    }
    assert_eq!((last.event.as_str(), pick(&last.data, "status")), ("end", json!(["error"])));
    let failures = api.get(&format!("/batches/{id}/failures")).await.expect(200).json();
    let told = pick(&failures["items"][0], "failure_kind cause jobs job_ids");
    assert_eq!(told, json!(["agent", "job <id> failed at <path> after <n> s", 2, [job(1), job(2)]]));
    let failed = results(&api, &format!("{id}/results?status=error")).await;
    assert_eq!(failed.iter().map(|row| row["line"].clone()).collect::<Vec<_>>(), [json!(2), json!(3)]);
    let done = results(&api, &format!("{id}/results?status=completed")).await;
    assert_eq!(pick(&done[0], "line status version attempts"), json!([1, "completed", 2, 1]));
    let again = api.post(&format!("/batches/{id}/retry-failed"), &json!({})).await.expect(202).json();
    assert_eq!((&again["retried"], pick(&again["batch"], "status total")), (&json!(2), json!(["in_progress", 3])));
    assert_eq!(api.post(&format!("/batches/{id}/retry-failed"), &json!({})).await.expect(202).json()["retried"], 0);
    let old = api.get(&format!("/jobs/{}", job(1))).await.json();
    let newer = results(&api, &format!("{id}/results")).await[1].clone();
    assert_eq!(old["retried_by"], newer["job_id"]);
}

#[tokio::test]
async fn pause_resume_cancel() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let id = make(&api, json!({})).await;
    send(&api, &format!("{id}/jobs?more=true"), line(&project, "a").repeat(5)).await.expect(200);
    let act = async |action: &str| api.post(&format!("/batches/{id}/{action}"), &json!({})).await;
    let paused = act("pause").await.expect(200).json();
    assert_eq!(pick(&paused, "status_detail pause_reason"), json!(["paused", "asked"]));
    assert!(paused["paused_at"].is_string());
    // Nothing will come, so nothing is waited for.
    assert_eq!(api.get(&format!("/batches/{id}?wait=60s")).await.expect(200).json()["status_detail"], "paused");
    assert_eq!(pick(&act("resume").await.expect(200).json(), "status_detail pause_reason"), json!(["queued", null]));
    assert_eq!(act("close").await.expect(200).json()["closed"], true);
    let refused = api.post(&format!("/batches/{id}/cancel"), &json!({"reason": ""})).await.expect(422);
    assert_eq!(refused.faults(), ["reason: string_too_short"]);
    let cancelled = api.post(&format!("/batches/{id}/cancel"), &json!({"reason": "enough"})).await.expect(202).json();
    assert_eq!(pick(&cancelled, "status_detail cancel_reason"), json!(["cancelling", "enough"]));
    assert_eq!(act("resume").await.expect(409).error().1, "Batch is cancelled");
    assert_eq!(act("retry-failed").await.expect(409).error().1, "Batch is cancelled");
    step(&api, &id).await;
    let over = api.get(&format!("/batches/{id}")).await.json();
    assert_eq!(pick(&over, "status total"), json!(["cancelled", 5]));
    act("cancel").await.expect(200);
    assert_eq!(act("pause").await.expect(409).error().1, "Batch is over; its failures can be run again");
}
