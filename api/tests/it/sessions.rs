//! Sessions as the API has them: what is refused, what a repeated request answers, what older clients ask. What a worker does is here the
//! test's; `shared/e2e` has real ones.

use drydock_database::{report::Report, session};
use drydock_domain::{AttemptId, Outcome};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Content, PATIENCE, Worker, body, pick, table, told};

/// A project whose lane is free, and a worker with a server.
async fn ready_project(api: &Api) -> (String, Worker) {
    let (project, job) = api.project().await;
    let worker = Worker::start(api, &["dummy", "session/preview"]).await;
    worker.publish(&job, &[("README.md", Content::File(b"hello"))]).await;
    (project, worker)
}

/// The session that waits for a worker.
async fn waiting(api: &Api) -> String {
    let client = api.database.client().await.unwrap();
    drydock_testing::until("a session waits", PATIENCE, async || {
        let sql = "SELECT s.job_id::text FROM session s JOIN job j ON j.id = s.job_id
                    WHERE s.ended_at IS NULL AND s.ready_at IS NULL AND j.state <> 'running'";
        client.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    })
    .await
}

/// Takes the session that waits, and tells that its server takes connections.
async fn take(api: &Api, worker: &Worker) -> (String, AttemptId) {
    let id = waiting(api).await;
    let attempt = worker.claim(&id).await;
    let client = api.database.client().await.unwrap();
    assert!(session::ready(&client, attempt, ("worker-1", 4000), Some("http://worker-1:4000/")).await.unwrap());
    (id, attempt)
}

/// Ends the session once it is released.
async fn give_back(api: &Api, worker: &Worker, id: &str, attempt: AttemptId) {
    let client = api.database.client().await.unwrap();
    drydock_testing::until("it is released", PATIENCE, async || {
        let sql = "SELECT 1 FROM session WHERE job_id = $1::text::uuid AND release_asked_at IS NOT NULL";
        client.query_opt(sql, &[&id]).await.unwrap()
    })
    .await;
    worker.finish(id, attempt, Outcome::Succeeded, &Report::default(), None).await;
}

#[tokio::test]
async fn a_session_is_answered_when_it_is_ready_and_once_for_each_key() {
    let api = Api::start().await;
    let (project, worker) = ready_project(&api).await;
    let asked = json!({"project_id": project, "server": "preview", "idle_timeout_s": 60});
    let key = [("idempotency-key", "once")];
    let (answer, (id, attempt)) = tokio::join!(api.post_with("/sessions", &asked, &key), take(&api, &worker));
    let made = answer.expect(201);
    assert_eq!(made.header("location"), Some(format!("/api/v1/sessions/{id}").as_str()));
    assert_eq!(
        pick(&made.json(), "session_id host port project_id status server idle_timeout_s preview_url read_only"),
        json!([id, "worker-1", 4000, project, "ready", "preview", 60, "http://worker-1:4000/", false])
    );
    // The only place is taken, by what is asked for again.
    let again = api.post_with("/sessions", &asked, &key).await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), again.text("session_id")), (Some("true"), id.clone()));
    let other = json!({"project_id": project, "server": "preview"});
    api.post_with("/sessions", &other, &key).await.expect(422);
    assert_eq!(api.post("/sessions", &other).await.expect(503).error().0, "unavailable");
    // A key that came in vain is free for another try.
    let answer = api.post_with("/sessions", &other, &[("idempotency-key", "in vain")]).await.expect(503);
    assert_eq!(
        (answer.header("retry-after"), answer.text("detail").as_str()),
        (Some("2"), "No worker has a free session slot")
    );
    assert_eq!(api.get("/sessions").await.expect(200).json()["items"].as_array().unwrap().len(), 1);

    let retry = api.post(&format!("/jobs/{id}/retry"), &json!({})).await.expect(409);
    assert!(retry.text("detail").starts_with("Job is running"));
    let path = format!("/sessions/{id}");
    let (ended, ()) = tokio::join!(api.delete(&path), give_back(&api, &worker, &id, attempt));
    assert_eq!(ended.expect(200).json(), json!({"status": "terminated", "session_id": id}));
    let retry = api.post(&format!("/jobs/{id}/retry"), &json!({})).await.expect(409);
    assert!(retry.text("detail").contains("POST /sessions"), "{}", retry.text("detail"));
    assert_eq!(api.get(&format!("/sessions/{id}")).await.expect(200).json()["status"], "terminated");
    let (answer, _) =
        tokio::join!(api.post_with("/sessions", &other, &[("idempotency-key", "in vain")]), take(&api, &worker));
    answer.expect(201);
}

/// Red when the first of two who ask with one key takes the session with it.
#[tokio::test]
async fn who_goes_away_leaves_the_session_to_who_asked_for_the_same() {
    let api = Api::start().await;
    let (project, worker) = ready_project(&api).await;
    let asked = json!({"project_id": project, "server": "preview"});
    let first = api.request(Method::POST, "/sessions").json(&asked).header("idempotency-key", "once").send();
    let first = drydock_runtime::tasks::spawn("a client", first);
    let id = waiting(&api).await;
    let client = api.database.client().await.unwrap();
    let waiters = async |expected: i32| {
        drydock_testing::until(&format!("{expected} wait"), PATIENCE, async || {
            let sql = "SELECT waiters FROM session WHERE job_id = $1::text::uuid";
            let waiters: i32 = client.query_one(sql, &[&id]).await.unwrap().get(0);
            (waiters == expected).then_some(())
        })
        .await;
    };
    let key = [("idempotency-key", "once")];
    let second = api.post_with("/sessions", &asked, &key);
    let others = async {
        waiters(2).await;
        first.abort();
        waiters(1).await;
        take(&api, &worker).await
    };
    let (answer, (taken, _)) = tokio::join!(second, others);
    assert_eq!((answer.expect(201).text("session_id"), taken), (id.clone(), id));
}

/// Red when a session that ended otherwise than it was to is answered as one that ended well.
#[tokio::test]
async fn changes_that_became_no_version_are_not_passed_over_in_silence() {
    let api = Api::start().await;
    let (project, worker) = ready_project(&api).await;
    let asked = json!({"project_id": project, "server": "preview"});
    let (answer, (id, attempt)) = tokio::join!(api.post("/sessions", &asked), take(&api, &worker));
    answer.expect(201);
    let path = format!("/projects/{project}/files/meanwhile.md?while_running=true");
    let by_hand = api.request(Method::PUT, &path).body("meanwhile").send().await.unwrap();
    assert_eq!(by_hand.status(), 201);
    let path = format!("/sessions/{id}");
    let ends = async {
        let client = api.database.client().await.unwrap();
        drydock_testing::until("it is released", PATIENCE, async || {
            client.query_opt("SELECT 1 FROM session WHERE release_asked_at IS NOT NULL", &[]).await.unwrap()
        })
        .await;
        let files: &[(&str, Content<'_>)] = &[("README.md", Content::File(b"of the session"))];
        worker.try_finish(&id, attempt, Outcome::Succeeded, &Report::default(), Some(files)).await
    };
    let (ended, finished) = tokio::join!(api.delete(&path), ends);
    assert_eq!(finished, drydock_database::job::Finished::Conflict);
    let (code, detail) = ended.expect(409).error();
    assert_eq!(code, "conflict");
    assert!(detail.as_str().unwrap().contains("?attempt="), "{detail}");
}

#[tokio::test]
async fn what_a_session_may_ask_for_is_checked() {
    let api = Api::start().await;
    let (project, _worker) = ready_project(&api).await;
    let faults = table(
        r#"
        {} => project_id | Field required | missing & server | Field required | missing
        {"project_id": "P", "server": "preview", "x": 1} => x | Extra inputs are not permitted | extra_forbidden
        {"project_id": "P", "server": "a b"} => server | String should match pattern '^[A-Za-z0-9._-]+$' | string_pattern_mismatch
        {"project_id": "P", "server": "nothing"} => server | no worker has ever offered session server 'nothing'; known are preview | value_error
        {"project_id": "P", "server": "preview", "idle_timeout_s": 0} => idle_timeout_s | Input should be greater than or equal to 1 | greater_than_equal
        {"project_id": "P", "server": "preview", "read_only": "yes"} => read_only | Input should be a valid boolean | bool_type
        "#,
    );
    for (given, expected) in faults {
        let given = body(&given.replace("\"P\"", &format!("\"{project}\"")));
        let answer = api.post("/sessions", &given).await.expect(422);
        assert_eq!(told(&answer), expected, "{given}");
    }
    let job = json!({"job_type": "session", "instruction": "x"});
    let refused = api.post(&format!("/projects/{project}/jobs"), &job).await.expect(422);
    assert_eq!(told(&refused), "job_type | Input should be 'initial_project', 'edit' or 'command' | enum");
    let workers = api.get("/workers").await.expect(200).json();
    assert_eq!(pick(&workers["items"][0], "agents sessions"), json!([["dummy"], ["preview"]]));
    let pools = api.get("/pools").await.expect(200).json();
    assert_eq!(pick(&pools["items"][0], "agents sessions"), json!([["dummy"], ["preview"]]));
}

/// Red when a session that nobody took is left to wait, and when one whose asker went away is.
#[tokio::test]
async fn nothing_is_left_of_a_session_that_nobody_takes_or_waits_for() {
    let api = Api::start_with(&["--session-wait", "300ms"]).await;
    let (project, worker) = ready_project(&api).await;
    let asked = json!({"project_id": project, "server": "preview"});
    let answer = api.post("/sessions", &asked).await.expect(503);
    assert_eq!(answer.text("detail"), "No worker took the session in time");
    let ended = api.get("/sessions?ended=true").await.expect(200).json();
    assert_eq!((ended["items"].as_array().unwrap().len(), &ended["items"][0]["status"]), (1, &json!("terminated")));

    let api = Api::start().await;
    let (project, _) = (ready_project(&api).await.0, worker);
    let asked = json!({"project_id": project, "server": "preview"});
    let request = api.request(Method::POST, "/sessions").json(&asked).send();
    tokio::select! {
        answer = request => panic!("nobody took it: {answer:?}"),
        _ = waiting(&api) => {}
    }
    drydock_testing::until("it is given up", PATIENCE, async || {
        let live = api.get("/sessions").await.expect(200).json();
        live["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_start_that_failed_is_told_with_the_servers_last_words() {
    let api = Api::start().await;
    let (project, worker) = ready_project(&api).await;
    let asked = json!({"project_id": project, "server": "preview"});
    let failing = async {
        let id = waiting(&api).await;
        let attempt = worker.claim(&id).await;
        let errors = vec!["Server process failed to report its port in time.".to_owned()];
        let report = Report { errors, output: Some("warming up".to_owned()), ..Report::default() };
        worker.finish(&id, attempt, Outcome::Failed, &report, None).await;
    };
    let (answer, ()) = tokio::join!(api.post("/sessions", &asked), failing);
    let answer = answer.expect(500);
    let error =
        ("session_start_failed".to_owned(), json!("Server process failed to report its port in time.\nwarming up"));
    assert_eq!(answer.error(), error);
    assert_eq!(
        (answer.text("message"), &answer.json()["code"]),
        ("Session could not be started".to_owned(), &json!(500))
    );
    assert_eq!(api.get("/sessions").await.expect(200).json()["items"], json!([]));
}

/// Older clients, at the root and below `/api/v1`.
#[tokio::test]
async fn older_clients_ask_under_their_own_names() {
    let api = Api::start_with(&["--default-session-server", "preview"]).await;
    let (project, worker) = ready_project(&api).await;
    for base in ["//", "/"] {
        let ask = async |path: &str, body: Value| {
            Answer::of(api.request(Method::POST, &format!("{base}{path}")).json(&body)).await
        };
        for wrong in [json!({}), json!({"project_path": "/etc"}), json!({"project_path": 1, "project_id": project})] {
            let answer = ask("request-session", wrong.clone()).await.expect(400);
            assert_eq!(answer.text("detail"), "Invalid or missing 'project_path'", "{wrong}");
        }
        let (answer, (id, attempt)) =
            tokio::join!(ask("request-session", json!({"project_id": project})), take(&api, &worker));
        let answer = answer.expect(200).json();
        assert_eq!(pick(&answer, "session_id host port"), json!([id, "worker-1", 4000]));
        let release = || ask("release-session", json!({"session_id": id}));
        let (ended, ()) = tokio::join!(release(), give_back(&api, &worker, &id, attempt));
        assert_eq!(ended.expect(200).json(), json!({"status": "terminated", "session_id": id}));
        assert_eq!(release().await.expect(200).json(), json!({"status": "already_gone", "session_id": id}));
        for wrong in [json!({}), json!({"session_id": "x"}), json!({"session_id": 5}), json!({"session_id": project})] {
            let answer = ask("release-session", wrong.clone()).await.expect(404);
            assert_eq!(answer.text("detail"), "Invalid or missing 'session_id'", "{wrong}");
        }
    }
}
