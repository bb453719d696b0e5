//! Jobs: validated, accepted once, shown with their attempts, listed with filters.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use serde_json::{Value, json};

use crate::harness::{Api, Content, Worker, body, column, names, pick, table, told};

const REFUSED: &str = r#"
    {} => job_type | Field required | missing & instruction | Field required | missing
    {"job_type": "delete", "instruction": "x"} => job_type | Input should be 'initial_project', 'edit' or 'command' | enum
    {"job_type": 1, "instruction": "x"} => job_type | Input should be 'initial_project', 'edit' or 'command' | enum
    {"job_type": "edit", "instruction": "  "} => instruction | instruction must not be empty | value_error
    {"job_type": "edit", "instruction": "LONG"} => instruction | String should have at most 2000 characters | string_too_long
    {"job_type": "command"} => argv | Field required | missing
    {"job_type": "command", "argv": []} => argv | List should have at least 1 item after validation, not 0 | too_short
    {"job_type": "command", "argv": ["a", 1]} => argv.1 | Input should be a valid string | string_type
    {"job_type": "edit", "instruction": "x", "argv": ["true"]} => argv | argv goes with job_type 'command' only | value_error
    {"job_type": "edit", "instruction": "x", "agent": "x"} => agent | no worker has ever offered agent 'x'; known are dummy | value_error
    {"job_type": "edit", "instruction": "x", "labels": {"a": 1}} => labels.a | Input should be a valid string | string_type
    {"retries": 101, "job_type": "edit", "instruction": "x", "timeout_s": 0, "priority": 10, "y": 1} => priority | Input should be less than or equal to 9 | less_than_equal & timeout_s | Input should be greater than or equal to 1 | greater_than_equal & retries | Input should be less than or equal to 100 | less_than_equal & y | Extra inputs are not permitted | extra_forbidden
    {"job_type": "edit", "instruction": "x", "requires": ["gpu"], "queue_timeout_s": 0, "silence_timeout_s": "1s"} => queue_timeout_s | Input should be greater than or equal to 1 | greater_than_equal & silence_timeout_s | Input should be a valid integer, unable to parse string as an integer | int_parsing & requires | Input should be a valid dictionary | dict_type
    {"job_type": "edit", "instruction": "x", "depends_on": "x"} => depends_on | Input should be a valid list | list_type
    {"job_type": "edit", "instruction": "x", "depends_on": ["FIRST", "x"]} => depends_on.1 | Input should be a valid UUID | uuid_parsing
    {"job_type": "edit", "instruction": "x", "depends_on": ["FIRST", "FIRST"]} => depends_on.1 | the same job is named twice | value_error
    {"job_type": "edit", "instruction": "x", "depends_on": [MANY]} => depends_on | List should have at most 100 items after validation, not 101 | too_long
    {"job_type": "edit", "instruction": "x", "depends_on": ["00000000-0000-0000-0000-000000000001", "FIRST", "00000000-0000-0000-0000-000000000002"]} => depends_on.0 | Job not found | value_error & depends_on.2 | Job not found | value_error
    {"job_type": "edit", "instruction": "x", "run_at": "soon", "read_only": "yes"} => run_at | Input should be a valid datetime with its offset, like 2030-01-31T12:00:00Z | datetime_parsing & read_only | Input should be a valid boolean | bool_type
"#;

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_why() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let _worker = Worker::start(&api, &["dummy"]).await;
    let path = format!("/projects/{project}/jobs");
    for (given, expected) in table(REFUSED) {
        let given = given.replace("FIRST", &first).replace("MANY", &vec!["\"x\""; 101].join(","));
        let answer = api.post(&path, &body(&given)).await.expect(422);
        assert_eq!(told(&answer), expected, "{given}");
    }
    let listed = api.get(&path).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "only the first job of the project");
}

const ALWAYS: &str = "attempts created_at created_files deleted_files errors id instruction job_type logs_path \
                      modified_files project_id queued_at result_path status status_detail timings title updated_at";

#[tokio::test]
async fn an_accepted_job_says_all_of_itself() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let _worker = Worker::start(&api, &["dummy"]).await;
    let shown = api.get(&format!("/jobs/{first}")).await.expect(200).json();
    assert_eq!(pick(&shown, "job_type status status_detail"), json!(["initial_project", "queued", "queued"]));

    let body = json!({"job_type": "command", "argv": ["echo"], "agent": "never-checked", "title": "Say hi"});
    let answer = api.post(&format!("/projects/{project}/jobs"), &body).await.expect(202);
    let (id, job) = (answer.text("id"), answer.json());
    assert_eq!(answer.header("location").unwrap(), format!("/api/v1/jobs/{id}"));
    assert_eq!(names(&job), ALWAYS);
    assert_eq!(pick(&job, "status status_detail title"), json!(["queued", "pending", "Say hi"]));
    assert_eq!(job["logs_path"], format!("/api/v1/projects/{project}/jobs/{id}/logs"));
    let mut read = api.get(&format!("/jobs/{id}")).await.json();
    assert!(read.as_object_mut().unwrap().remove("waiting").is_some());
    assert_eq!(read, job, "what was accepted is what is read");
}

#[tokio::test]
async fn a_job_shows_its_attempts_and_its_end() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let next = api.job(&project, json!({"job_type": "edit", "instruction": "next"})).await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let attempt = worker.claim(&job).await;
    let running = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(pick(&running, "status status_detail"), json!(["in_progress", "materializing"]));
    let tried = &running["attempts"][0];
    assert_eq!(pick(tried, "number outcome finished_at"), json!([1, null, null]));
    assert_eq!(names(tried), "base_version finished_at isolation number outcome started_at worker workspace_path");
    assert_eq!(tried["workspace_path"], format!("/scratch/{attempt}"));
    assert!(running["timings"]["queue_s"].as_f64().unwrap() >= 0.0);
    let report = Report {
        output: Some("done".to_owned()),
        created_files: vec!["a".to_owned()],
        run_s: Some(1.25),
        ..Report::default()
    };
    let files = [("a", Content::File(b"1"))];
    worker.finish(&job, attempt, Outcome::Succeeded, &report, Some(&files)).await;
    let ended = api.get(&format!("/jobs/{job}?wait=10s")).await.json();
    let told = pick(&ended, "status status_detail version output created_files waiting");
    assert_eq!(told, json!(["completed", "completed", 1, "done", ["a"], null]));
    assert_eq!((&ended["timings"]["run_s"], &ended["attempts"][0]["outcome"]), (&json!(1.25), &json!("succeeded")));
    assert!(ended["attempts"][0]["worker"].as_str().unwrap().starts_with("test-"));
    let next = api.get(&format!("/jobs/{next}")).await.json();
    assert_eq!(next["status_detail"], "queued", "the lane went on");
}

#[tokio::test]
async fn titles_and_defaults() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let cases = [
        (json!({"job_type": "edit", "instruction": " first \nsecond"}), "first"),
        (json!({"job_type": "command", "argv": ["make", "all"]}), "make all"),
        (json!({"job_type": "command", "argv": ["make"], "instruction": "compile"}), "compile"),
        (json!({"job_type": "initial_project", "instruction": "x"}), "x"),
    ];
    for (body, title) in cases {
        let job = api.post(&format!("/projects/{project}/jobs"), &body).await.expect(202);
        assert_eq!(job.text("title"), title);
    }
    let later = json!({"job_type": "edit", "instruction": "x", "run_at": "2999-01-01T00:00:00Z"});
    let job = api.job(&project, later).await;
    let shown = api.get(&format!("/jobs/{job}")).await.json();
    assert_eq!(shown["status_detail"], "scheduled");
    let aside = api.job(&project, json!({"job_type": "command", "argv": ["ls"], "read_only": true})).await;
    let shown = api.get(&format!("/jobs/{aside}")).await.json();
    assert_eq!(shown["status_detail"], "queued", "it waits for no other job");
    let alias =
        api.post(&format!("/{project}/jobs"), &json!({"job_type": "edit", "instruction": "old"})).await.expect(202);
    assert_eq!(alias.text("project_id"), project);
}

#[tokio::test]
async fn a_repeated_submission_is_one_job() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let (other, _) = api.project().await;
    let (path, elsewhere) = (format!("/projects/{project}/jobs"), format!("/projects/{other}/jobs"));
    let body = json!({"job_type": "edit", "instruction": "once"});
    let key = [("idempotency-key", "abc")];
    let (first, again) = tokio::join!(api.post_with(&path, &body, &key), api.post_with(&path, &body, &key));
    let (first, again) = (first.expect(202), again.expect(202));
    assert_eq!(first.text("id"), again.text("id"));
    let replays = [&first, &again].map(|answer| answer.header("idempotency-replayed").is_some());
    assert!(replays[0] ^ replays[1], "{replays:?}");
    let third = api.post_with(&path, &body, &key).await.expect(202);
    assert_eq!(third.header("idempotency-replayed"), Some("true"));
    let changed = json!({"job_type": "edit", "instruction": "twice"});
    assert_eq!(api.post_with(&path, &changed, &key).await.expect(422).faults(), ["Idempotency-Key: value_error"]);
    api.post_with(&elsewhere, &body, &key).await.expect(422);
    assert_eq!(api.get(&path).await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.get(&elsewhere).await.json()["items"].as_array().unwrap().len(), 1);
}

const FILTERED: &str = r#"
    status=completed                  => first
    status=queued                     => command labelled
    status=queued,completed           => command labelled first
    status=queued&status=completed    => command labelled first
    status=cancelled                  =>
    detail=completed                  => first
    detail=queued,pending             => command labelled
    detail=pending                    => command
    detail=dead                       =>
    detail=queued&type=edit           => labelled
    type=command                      => command
    type=edit,command                 => command labelled
    label=team=a                      => command labelled
    label=team=a&label=n=1            => labelled
    label=team=b                      =>
    since=SINCE                       => command
    limit=1&type=edit                 => labelled
"#;

#[tokio::test]
async fn lists_are_filtered() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    api.project().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    worker.publish(&first, &[("a", Content::File(b"x"))]).await;
    let labels = json!({"team": "a", "n": "1"});
    let labelled = api.job(&project, json!({"job_type": "edit", "instruction": "l", "labels": labels})).await;
    let body = json!({"job_type": "command", "argv": ["true"], "labels": {"team": "a"}});
    let command = api.job(&project, body).await;
    let since = api.get(&format!("/jobs/{command}")).await.text("created_at");
    for (query, expected) in table(FILTERED) {
        let query = query.replace("SINCE", &since);
        let listed = api.get(&format!("/projects/{project}/jobs?{query}")).await.expect(200).json();
        let known = [(&first, "first"), (&labelled, "labelled"), (&command, "command")];
        let name = |id: &Value| known.iter().find(|(known, _)| *id == **known).map_or("?", |(_, name)| name);
        let listed: Vec<&str> = column(&listed["items"], "id").iter().map(name).collect();
        assert_eq!(listed.join(" "), expected, "{query}");
    }
    let bad = api
        .get("/jobs?status=done&detail=undead&type=x&label=team&since=now&limit=x&cursor=-&batch=1&shelf=1")
        .await
        .expect(422);
    let expected = "status: enum, detail: enum, type: enum, label: value_error, batch: uuid_parsing, since: datetime_parsing, limit: int_parsing, \
                    cursor: value_error, shelf: extra_forbidden";
    assert_eq!(bad.faults().join(", "), expected);
}

#[tokio::test]
async fn lists_are_pages() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let (other, _) = api.project().await;
    for _ in 0..2 {
        api.job(&project, json!({"job_type": "edit", "instruction": "more"})).await;
    }
    let ids = |list: &Value| column(&list["items"], "id");
    let all = ids(&api.get("/jobs").await.json());
    assert_eq!(all.len(), 4);
    let page = api.get("/jobs?limit=3").await.json();
    assert_eq!(ids(&page), all[..3]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.get(&format!("/jobs?limit=3&cursor={cursor}")).await.json();
    assert_eq!(ids(&rest), all[3..]);
    assert!(rest.get("next_cursor").is_none());
    assert_eq!(ids(&api.get(&format!("/projects/{other}/jobs")).await.json()).len(), 1);
}

#[tokio::test]
async fn what_a_job_asks_for_is_kept_and_shown() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let asked = json!({"job_type": "command", "argv": ["true"], "depends_on": [first], "requires": {"gpu": "a100"},
                       "queue_timeout_s": 60, "silence_timeout_s": 5, "timeout_s": 7, "priority": 9});
    let answer = api.post(&format!("/projects/{project}/jobs"), &asked).await.expect(202).json();
    let shown = "status_detail depends_on requires queue_timeout_s silence_timeout_s";
    assert_eq!(pick(&answer, shown), json!(["scheduled", [first], {"gpu": "a100"}, 60, 5]));
    let id = answer["id"].as_str().unwrap();
    let mut read = api.get(&format!("/jobs/{id}")).await.json();
    assert!(read.as_object_mut().unwrap().remove("waiting").is_some());
    assert_eq!(read, answer, "what was accepted is what is read");
    let row = "SELECT queue_timeout_s, silence_timeout_s, timeout_s, unmet, expires_at > now() FROM job WHERE id = $1::text::uuid";
    let row = api.database.client().await.unwrap().query_one(row, &[&id]).await.unwrap();
    let numbers: Vec<Option<i32>> = (0..4).map(|at| row.get(at)).collect();
    assert_eq!((numbers, row.get::<_, bool>(4)), (vec![Some(60), Some(5), Some(7), Some(1)], true));
    let plain = api.get(&format!("/jobs/{first}")).await.json();
    assert!(
        names(&plain).split(' ').all(|name| name != "depends_on" && name != "requires"),
        "only where there are some"
    );
}
