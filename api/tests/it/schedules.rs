//! Schedules: validated with examples, shown with their next times, paused, resumed, changed, removed; fired by the leader's calls.

use drydock_database::schedule::{self, Fired};
use drydock_domain::Schedule;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, body, column, names, pick, table, told};

const REFUSED: &str = r#"
    {} => project_id | Field required | missing & name | Field required | missing & cron | Field required | missing & job | Field required | missing
    {"name": "", "cron": "x", "project_id": "x", "job": 1} => project_id | Input should be a valid UUID | uuid_parsing & name | String should have at least 1 character | string_too_short & cron | Input should be a cron expression of five fields (minute, hour, day of month, month, day of week), like '30 6 * * MON-FRI': Invalid pattern: Pattern must have 5 fields when seconds are disallowed | value_error & job | Input should be a valid dictionary | dict_type
    {"name": "n", "cron": "0 0 30 2 *", "project_id": "PROJECT", "job": JOB} => cron | Input should be a cron expression that has a time to come, unlike '0 0 30 2 *' | value_error
    {"name": "n", "cron": "@daily", "project_id": "PROJECT", "time_zone": "Berlin", "missed": "all", "job": JOB} => time_zone | Input should be an IANA time zone, like 'Europe/Berlin' or 'UTC' | value_error & missed | Input should be 'skip' or 'once' | enum
    {"name": "n", "cron": "@daily", "project_id": "PROJECT", "job": {"job_type": "edit", "run_at": "2030-01-01T00:00:00Z", "depends_on": [], "timeout_s": 0}, "x": 1} => job.instruction | Field required | missing & job.timeout_s | Input should be greater than or equal to 1 | greater_than_equal & job.depends_on | Extra inputs are not permitted | extra_forbidden & job.run_at | Extra inputs are not permitted | extra_forbidden & x | Extra inputs are not permitted | extra_forbidden
    {"name": "n", "cron": "@daily", "project_id": "00000000-0000-0000-0000-000000000009", "job": JOB} => project_id | Project not found | value_error
    {"name": "n", "cron": "@daily", "project_id": "PROJECT", "job": {"job_type": "edit", "instruction": "x", "agent": "x"}} => job.agent | no worker has ever offered agent 'x', nor any other | value_error
"#;

#[tokio::test]
async fn bodies_that_do_not_pass_are_told_what_is_expected() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    for (given, expected) in table(REFUSED) {
        let given = given.replace("PROJECT", &project).replace("JOB", r#"{"job_type": "edit", "instruction": "tidy"}"#);
        assert_eq!(told(&api.post("/schedules", &body(&given)).await.expect(422)), expected, "{given}");
    }
    assert_eq!(api.get("/schedules").await.expect(200).json(), json!({"items": []}));
}

async fn make(api: &Api, project: &str, change: Value) -> Value {
    let mut body = json!({"name": "nightly", "project_id": project, "cron": "30 2 * * *", "time_zone": "Europe/Berlin",
                          "job": {"job_type": "edit", "instruction": "tidy up\nnow", "priority": 3, "requires": {"gpu": "yes"}}});
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    api.post("/schedules", &body).await.expect(201).json()
}

async fn patch(api: &Api, id: &str, body: Value) -> Answer {
    api.patch(&format!("/schedules/{id}"), &body).await
}

#[tokio::test]
async fn a_schedule_says_when() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let made = make(&api, &project, json!({})).await;
    let always = "created_at cron id job missed name next next_at paused project_id time_zone updated_at";
    assert_eq!(names(&made), always);
    assert_eq!(
        pick(&made, "name cron time_zone missed paused"),
        json!(["nightly", "30 2 * * *", "Europe/Berlin", "once", false])
    );
    let job = json!({"job_type": "edit", "title": "tidy up", "instruction": "tidy up\nnow", "priority": 3, "requires": {"gpu": "yes"},
                     "read_only": false, "keep_on_error": false, "retries": 0, "min_isolation": "none", "labels": {}});
    assert_eq!(made["job"], job);
    let next: Vec<String> = made["next"].as_array().unwrap().iter().map(|at| at.as_str().unwrap().to_owned()).collect();
    assert_eq!((next.len(), &made["next_at"]), (5, &json!(next[0])));
    let known = Schedule::parse("30 2 * * *", "Europe/Berlin").unwrap().upcoming(next[0].parse().unwrap(), 4);
    assert_eq!(json!(next[1..]), json!(known));
    let id = made["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/schedules/{id}")).await.expect(200).json(), made);
    let (other, _) = api.project().await;
    let second = make(&api, &other, json!({"cron": "@hourly", "paused": true})).await;
    assert_eq!(pick(&second, "next_at next"), json!([null, []]));
    assert_eq!(column(&api.get("/schedules").await.json()["items"], "id"), [second["id"].clone(), made["id"].clone()]);
    let page = api.get("/schedules?limit=1").await.json();
    let rest = api.get(&format!("/schedules?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!(column(&rest["items"], "id"), [json!(id)]);
    let of_project = api.get(&format!("/schedules?project_id={project}")).await.json();
    assert_eq!(column(&of_project["items"], "id"), [json!(id)]);
}

#[tokio::test]
async fn a_schedule_is_paused_resumed_changed_removed() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let made = make(&api, &project, json!({})).await;
    let id = made["id"].as_str().unwrap();
    let paused = patch(&api, id, json!({"paused": true})).await.expect(200).json();
    assert_eq!(pick(&paused, "paused next_at next name"), json!([true, null, [], "nightly"]));
    let client = api.database.client().await.unwrap();
    client.execute("UPDATE schedule SET next_at = '2026-01-01'", &[]).await.unwrap();
    let resumed = patch(&api, id, json!({"paused": false})).await.expect(200).json();
    assert_eq!(
        pick(&resumed, "paused next_at"),
        json!([false, made["next_at"]]),
        "what passed meanwhile is not made up for"
    );
    let job = json!({"job_type": "command", "argv": ["make"]});
    let changed =
        patch(&api, id, json!({"name": "n", "cron": "0 0 1 1 *", "time_zone": "UTC", "missed": "skip", "job": job}))
            .await;
    let changed = changed.expect(200).json();
    assert_eq!(pick(&changed, "name cron time_zone missed paused"), json!(["n", "0 0 1 1 *", "UTC", "skip", false]));
    assert!(changed["next_at"].as_str().unwrap().ends_with("-01-01T00:00:00Z"), "{changed}");
    assert_eq!((&changed["job"]["title"], &changed["job"]["priority"]), (&json!("make"), &json!(0)));
    let bad = patch(&api, id, json!({"cron": "x", "project_id": project, "job": {}})).await.expect(422).faults();
    assert_eq!(
        bad,
        ["cron: value_error", "job.job_type: missing", "job.instruction: missing", "project_id: extra_forbidden"]
    );
    let gone = async || api.delete(&format!("/schedules/{id}")).await;
    gone().await.expect(204);
    for answer in [
        gone().await,
        patch(&api, id, json!({})).await,
        api.get(&format!("/schedules/{id}")).await,
        api.get("/schedules/x").await,
    ] {
        assert_eq!(answer.expect(404).error(), ("not_found".to_owned(), json!("Schedule not found")));
    }
}

#[tokio::test]
async fn a_repeated_creation_is_one_schedule() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let body =
        json!({"name": "n", "project_id": project, "cron": "@daily", "job": {"job_type": "command", "argv": ["true"]}});
    let key = [("idempotency-key", "s")];
    let (a, b) = tokio::join!(api.post_with("/schedules", &body, &key), api.post_with("/schedules", &body, &key));
    assert_eq!(a.expect(201).text("id"), b.expect(201).text("id"));
    assert_eq!(api.get("/schedules").await.json()["items"].as_array().unwrap().len(), 1);
    let other =
        json!({"name": "m", "project_id": project, "cron": "@daily", "job": {"job_type": "command", "argv": ["true"]}});
    let reused = api.post_with("/schedules", &other, &key).await.expect(422);
    assert_eq!(reused.faults(), ["Idempotency-Key: value_error"]);
}

#[tokio::test]
async fn what_the_leader_fires_is_a_job_of_the_schedule() {
    let api = Api::start().await;
    let (project, first) = api.project().await;
    let made = make(&api, &project, json!({})).await;
    let client = api.database.client().await.unwrap();
    client.execute("UPDATE schedule SET next_at = '2026-01-01'", &[]).await.unwrap();
    let due = schedule::due(&client, 10).await.unwrap().remove(0);
    let turn = Schedule::parse(&due.cron, &due.time_zone).unwrap().turn(due.due_at, due.now, due.missed);
    let Fired::Job(job) = schedule::fire(&client, &due, turn.next, turn.fires).await.unwrap() else { panic!() };
    let shown = api.get(&format!("/jobs/{job}")).await.expect(200).json();
    assert_eq!(
        pick(&shown, "schedule_id title requires status_detail"),
        json!([made["id"], "tidy up", {"gpu": "yes"}, "pending"])
    );
    let after = api.get(&format!("/schedules/{}", due.id)).await.json();
    assert_eq!(pick(&after, "last_at last_job_id next_at"), json!(["2026-01-01T00:00:00Z", job, made["next_at"]]));
    assert!(!first.is_empty());
}
