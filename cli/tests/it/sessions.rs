//! Sessions: started, listed, shown, stopped.

use std::time::Duration;

use drydock_database::{report::Report, session};
use drydock_domain::{AttemptId, Outcome};

use crate::{harness::Api, worker::Worker};

const PATIENCE: Duration = Duration::from_secs(20);

/// Takes the session that waits, as a worker whose server takes connections.
async fn take(api: &Api, worker: &Worker) -> (String, AttemptId) {
    let client = api.database.client().await.unwrap();
    let id: String = drydock_testing::until("a session waits", PATIENCE, async || {
        let sql = "SELECT job_id::text FROM session WHERE ended_at IS NULL AND ready_at IS NULL";
        client.query_opt(sql, &[]).await.unwrap().map(|row| row.get(0))
    })
    .await;
    let attempt = worker.claim(&id).await;
    assert!(session::ready(&client, attempt, ("worker-1", 4000), None).await.unwrap());
    (id, attempt)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_start_to_stop() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (project, job) = api.project().await;
    worker.end(&job, Outcome::Succeeded).await;
    let starting = api.drydock_with(&["session", "start", &project, "preview", "--read-only"]).ok();
    let (started, (id, attempt)) = tokio::join!(starting, take(&api, &worker));
    assert_eq!(started.says(&format!("drydock session stop {id}")).line(), "worker-1:4000");
    let list = api.drydock("session ls").ok().await.text();
    assert!(list.contains(&id) && list.contains("ready") && list.contains("worker-1:4000"), "{list}");
    let shown = api.drydock(&format!("session show {id}")).ok().await.text();
    assert!(shown.contains("read only") && shown.contains("idle limit  3600 s"), "{shown}");
    let json = api.drydock(&format!("--json session show {id}")).ok().await;
    assert_eq!(json.line(), api.get(&format!("/sessions/{id}")).await);
    let giving_back = async {
        let client = api.database.client().await.unwrap();
        drydock_testing::until("it is released", PATIENCE, async || {
            client.query_opt("SELECT 1 FROM session WHERE release_asked_at IS NOT NULL", &[]).await.unwrap()
        })
        .await;
        worker.finish(&id, attempt, Outcome::Succeeded, &Report::default()).await;
    };
    let (stopped, ()) = tokio::join!(api.drydock(&format!("session stop {id}")).ok(), giving_back);
    assert_eq!(stopped.line(), format!("{id} terminated"));
    assert_eq!(api.drydock(&format!("session stop {id}")).ok().await.line(), format!("{id} already_gone"));
    assert_eq!(api.drydock("session ls").ok().await.text().lines().count(), 1);
    assert_eq!(api.drydock("session ls --ended").ok().await.text().lines().count(), 2);
    api.drydock("session show nonsense").end().await.exit(4).says("Invalid or missing 'session_id'");
    let unknown = ["session", "start", &project, "nothing"];
    api.drydock_with(&unknown).end().await.exit(2).says("known are preview");
}
