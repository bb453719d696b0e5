//! Accepting under faults: an API that dies around its commit, answers that get lost, batches with a rotten job in them, keys that race.

use drydock_api::{Listeners, run};
use drydock_runtime::{Shutdown, tasks};
use drydock_testing::{Direction, Proxy};
use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Answer, Api, PATIENCE, Worker, config};

/// `host:port` of a URL.
fn host(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.split('/').next().unwrap().rsplit('@').next().unwrap().to_owned()
}

/// An API whose way to its database can be broken; the test's own goes straight there.
async fn behind_proxy() -> (Api, Proxy) {
    let to_database = Proxy::start(host(&drydock_testing::setting("DRYDOCK_TEST_DATABASE_URL"))).await;
    let address = to_database.address().to_string();
    let api = Api::start_changed(&[], |_, secrets| {
        let url = secrets.database_url.expose_secret().to_owned();
        secrets.database_url = url.replace(&host(&url), &address).into();
    })
    .await;
    (api, to_database)
}

/// Another API on the same database: a submission to it.
async fn elsewhere(api: &Api, path: &str) -> RequestBuilder {
    let (config, secrets) = config(&api.database, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1{path}", listener.local_addr().unwrap());
    tasks::spawn(
        "another api",
        run(config, secrets, Listeners { api: listener, admin: None, sessions: None }, Shutdown::new()),
    );
    Client::new().post(url).json(&edit())
}

fn edit() -> Value {
    json!({"job_type": "edit", "instruction": "once"})
}

async fn jobs(api: &Api) -> i64 {
    let count = "SELECT count(*) FROM job WHERE instruction = 'once'";
    api.database.client().await.unwrap().query_one(count, &[]).await.unwrap().get(0)
}

/// What a counter of the API stands at.
async fn counted(api: &Api, name: &str) -> f64 {
    let text = String::from_utf8(api.get("//metrics").await.body).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// So many accepting transactions wait for a project.
async fn until_waiting(api: &Api, many: i64) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let watch = api.database.client().await.unwrap();
    drydock_testing::until("they wait", PATIENCE, async || {
        (watch.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == many).then_some(())
    })
    .await;
}

/// A metric of the API stands at `value`.
async fn until_counted(api: &Api, name: &str, value: f64) {
    drydock_testing::until(name, PATIENCE, async || (counted(api, name).await == value).then_some(())).await;
}

async fn until_there(api: &Api) {
    drydock_testing::until("the job is there", PATIENCE, async || (jobs(api).await == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t01_an_api_that_dies_after_its_commit() {
    let (api, to_database) = behind_proxy().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let mut held = api.database.client().await.unwrap();
    let hold = held.transaction().await.unwrap();
    hold.execute("SELECT 1 FROM project FOR UPDATE", &[]).await.unwrap();
    let request = api.request(reqwest::Method::POST, &path).json(&edit()).header("idempotency-key", "k");
    let first = tasks::spawn("first", request.send());
    until_waiting(&api, 1).await;
    // It has been asked, it will commit, and its answer will not come.
    to_database.half_open(Direction::ToClient);
    hold.commit().await.unwrap();
    until_there(&api).await;
    assert!(!first.is_finished(), "nobody was told");
    // Dead: it can do nothing more.
    to_database.cut();
    api.running.abort();
    let again = Answer::of(elsewhere(&api, &path).await.header("idempotency-key", "k")).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let row = "SELECT id::text FROM job WHERE instruction = 'once'";
    let row = api.database.client().await.unwrap().query_one(row, &[]).await.unwrap();
    assert_eq!(again.text("id"), row.get::<_, String>(0), "one job, the one that was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn t02_an_api_that_dies_before_its_commit() {
    let (api, to_database) = behind_proxy().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    to_database.half_open(Direction::ToServer);
    let request = api.request(reqwest::Method::POST, &path).json(&edit()).header("idempotency-key", "k");
    let first = tasks::spawn("first", request.send());
    drydock_testing::until("the API has written", PATIENCE, async || {
        // Its own connections answer nothing, so the metrics are the only thing to ask.
        (counted(&api, "drydock_api_accept_batch_jobs_count").await >= 1.0).then_some(())
    })
    .await;
    to_database.cut();
    api.running.abort();
    assert_eq!(jobs(&api).await, 0);
    let again = Answer::of(elsewhere(&api, &path).await.header("idempotency-key", "k")).await.expect(202);
    assert_eq!((again.header("idempotency-replayed"), jobs(&api).await), (None, 1));
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn t41_an_acceptance_whose_answer_is_lost() {
    let (api, to_database) = behind_proxy().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    for key in [None, Some(("idempotency-key", "k"))] {
        let cut = to_database.replies_cut();
        to_database.cut_reply(b"accepted", 1);
        let before = jobs(&api).await;
        let headers: Vec<_> = key.into_iter().collect();
        let answer = api.post_with(&path, &edit(), &headers).await.expect(202);
        assert_eq!((to_database.replies_cut() - cut, jobs(&api).await - before), (1, 1), "{key:?}");
        assert_eq!(answer.header("idempotency-replayed"), None, "it is this request that was accepted");
        assert_eq!(api.get(&format!("/jobs/{}", answer.text("id"))).await.expect(200).text("project_id"), project);
    }
    assert_eq!(counted(&api, "drydock_api_accept_again_total{outcome=\"accepted\"").await, 2.0);
    // Many at once: some of them share the lost answer.
    let before = jobs(&api).await;
    to_database.cut_reply(b"accepted", 2);
    let body = edit();
    let answers = join_all((0..20).map(|_| api.post(&path, &body))).await;
    let mut ids: Vec<String> = answers.into_iter().map(|answer| answer.expect(202).text("id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), jobs(&api).await - before), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn t41_a_cancel_whose_answer_is_lost() {
    let (api, to_database) = behind_proxy().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (_, waiting) = api.project().await;
    let (_, running) = api.project().await;
    worker.claim(&running).await;
    for (job, reply, status, events) in
        [(&waiting, &b"canceled"[..], 200, "cancelled"), (&running, b"cancelling", 202, "cancelling")]
    {
        let cut = to_database.replies_cut();
        to_database.cut_reply(reply, 1);
        let answer = api.post(&format!("/jobs/{job}/cancel"), &json!({"reason": "r"})).await.expect(status);
        assert_eq!((to_database.replies_cut() - cut, answer.text("status_detail").as_str()), (1, events));
        let told = "SELECT count(*) FROM event WHERE job_id = $1::text::uuid AND data ->> 'status_detail' = $2";
        let told = api.database.client().await.unwrap().query_one(told, &[&job, &events]).await.unwrap();
        assert_eq!(told.get::<_, i64>(0), 1, "cancelled once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotten_job_spoils_no_other() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let mut held = api.database.client().await.unwrap();
    held.batch_execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.title = 'rotten' THEN RAISE 'spoilt'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER spoil BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION spoil()",
    )
    .await
    .unwrap();
    // While the project is held, what comes gathers behind the door.
    let hold = held.transaction().await.unwrap();
    hold.execute("SELECT 1 FROM project FOR UPDATE", &[]).await.unwrap();
    let bodies: Vec<Value> = (0..20)
        .map(|number| json!({"job_type": "edit", "instruction": "once", "title": if number == 13 { "rotten" } else { "sound" }}))
        .collect();
    // Two transactions are under way, with a job each; the others will be one.
    let posts = join_all(bodies.iter().enumerate().map(async |(at, body)| {
        until_waiting(&api, at.min(2) as i64).await;
        api.post(&path, body).await
    }));
    let release = async {
        until_counted(&api, "drydock_api_accept_waiting", 18.0).await;
        hold.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(posts, release);
    let failed: Vec<usize> = (0..20).filter(|at| answers[*at].status != 202).collect();
    assert_eq!(failed, [13]);
    assert_eq!((answers[13].status, jobs(&api).await), (500, 19));
    assert_eq!(counted(&api, "drydock_api_accept_again_total{outcome=\"accepted\"").await, 17.0);
    assert_eq!(counted(&api, "drydock_api_accept_batch_jobs_count").await, 3.0);
    assert_eq!(counted(&api, "drydock_api_accept_waiting").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_job_whoever_is_first() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let (same, other, key) =
        (edit(), json!({"job_type": "edit", "instruction": "once more"}), [("idempotency-key", "k")]);
    let bodies = [&same, &same, &other, &same, &same, &other, &same, &same];
    let answers = join_all(bodies.map(|body| api.post_with(&path, body, &key))).await;
    let won = answers
        .iter()
        .position(|answer| answer.status == 202 && answer.header("idempotency-replayed").is_none())
        .unwrap();
    for (answer, body) in answers.iter().zip(bodies) {
        if body == bodies[won] {
            assert_eq!((answer.status, answer.text("id")), (202, answers[won].text("id")));
        } else {
            assert_eq!((answer.status, answer.faults()), (422, vec!["Idempotency-Key: value_error".to_owned()]));
        }
    }
    let fresh = answers.iter().filter(|answer| answer.status == 202 && answer.header("idempotency-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    let count = "SELECT count(*) FROM job WHERE instruction LIKE 'once%'";
    let count = api.database.client().await.unwrap().query_one(count, &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}

/// Raises `code` in so many transactions that accept a job, and counts them.
async fn inject(api: &Api, code: &str, times: i64) {
    let faults = format!(
        "CREATE SEQUENCE IF NOT EXISTS fault;
         GRANT USAGE ON SEQUENCE fault TO PUBLIC;
         ALTER SEQUENCE fault RESTART;
         CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('fault') <= {times} THEN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END IF;
           RETURN NULL;
         END $$;
         CREATE OR REPLACE TRIGGER fault AFTER INSERT ON job FOR EACH STATEMENT EXECUTE FUNCTION fault();"
    );
    api.database.client().await.unwrap().batch_execute(&faults).await.unwrap();
}

/// Red when a timeout is taken for an answer that was lost (without `is_timeout`, it is asked for four times), and when a deadlock
/// is told to the user or a new project's transaction is not begun again.
#[tokio::test(flavor = "multi_thread")]
async fn t45_what_postgres_undid_is_tried_again_and_what_took_too_long_is_not() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/projects/{project}/jobs");
    let tried = async || -> i64 {
        let tried = api.database.client().await.unwrap().query_one("SELECT last_value FROM fault", &[]).await;
        tried.unwrap().get(0)
    };
    for timeout in ["57014", "55P03"] {
        inject(&api, timeout, i64::MAX).await;
        api.post(&path, &edit()).await.expect(503);
        assert_eq!(tried().await, 1, "{timeout}");
    }
    for undone in ["40P01", "40001"] {
        inject(&api, undone, 2).await;
        api.post(&path, &edit()).await.expect(202);
        assert_eq!(tried().await, 3, "{undone}");
        inject(&api, undone, 2).await;
        api.post("/projects", &json!({"instruction": "an app in a jam"})).await.expect(201);
        assert_eq!(tried().await, 3, "{undone}");
    }
}
