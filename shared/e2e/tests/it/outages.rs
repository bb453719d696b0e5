//! A server that goes away while everything runs: work waits, nothing is lost, and it goes on by itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::stack::{
    Options, PATIENCE, Stack,
    client::{id, shell},
};
use drydock_testing::{Proxy, setting, until};

/// What stands before the host and port of a server's URL, those two, and what stands behind.
pub(crate) fn at_host(url: &str) -> (&str, &str, &str) {
    let after_user = url.rfind('@').map_or_else(|| url.find("://").map_or(0, |at| at + 3), |at| at + 1);
    let end = url[after_user..].find('/').map_or(url.len(), |at| after_user + at);
    (&url[..after_user], &url[after_user..end], &url[end..])
}

/// `setting` of the test servers with its host and port replaced by the proxy's.
pub(crate) async fn through_proxy(url: &str) -> (Proxy, String) {
    let (before, target, after) = at_host(url);
    let proxy = Proxy::start(target.to_owned()).await;
    let through = format!("{before}{}{after}", proxy.address());
    (proxy, through)
}

async fn stack_behind(name: &'static str, url: String) -> Stack {
    Stack::with(Options { settings: vec![(name, url)], ..Options::default() }).await
}

// More than one thread: dropping the test's database blocks one, and the proxy must go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn without_rabbitmq_jobs_are_accepted_and_run_when_it_is_back() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_AMQP_URL")).await;
    let stack = stack_behind("DRYDOCK_AMQP_URL", url).await;
    let project = id(&stack.client.project(json!({"instruction": "an app through an outage"})).await);
    proxy.cut();
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    stack.client.reaches(&job, "dispatched").await;
    proxy.heal();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], &ended["attempts"][0]["number"]), (&json!("completed"), &json!(1)), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_s3_a_job_waits_uncharged_and_file_routes_say_unavailable() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_S3_ENDPOINT")).await;
    let mut stack = stack_behind("DRYDOCK_S3_ENDPOINT", url).await;
    let project = id(&stack.client.project(json!({"instruction": "an app without storage"})).await);
    // Those that made it would need no storage.
    let cold = stack.cold_workers(&[]).await;
    proxy.cut();
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    stack.client.reaches(&job, "retrying").await;
    let (status, body) = stack.client.send(Method::GET, &format!("/projects/{project}/files/app.py"), None).await;
    assert_eq!((status.as_u16(), &body["error"]), (503, &json!("unavailable")), "{body}");
    proxy.heal();
    let ended = stack.client.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(ended["attempts"][0]["outcome"], "infra", "{ended}");
    for worker in &mut stack.workers[cold..] {
        worker.signal(rustix::process::Signal::TERM);
        assert!(worker.ended().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_the_api_says_so_and_a_running_job_still_finishes() {
    use secrecy::ExposeSecret as _;
    let probe = drydock_testing::database().await;
    let (proxy, through) = through_proxy(probe.url.expose_secret()).await;
    let through = through.rsplit_once('/').unwrap().0.to_owned();
    let stack = Stack::behind_database_proxy(&through).await;
    let project = id(&stack.client.project(json!({"instruction": "an app through an outage"})).await);
    let mark = tempfile::tempdir().unwrap();
    let place = mark.path().display();
    let job = stack
        .client
        .submit(
            &project,
            shell(&format!("touch {place}/on; while [ ! -e {place}/off ]; do sleep 0.02; done; echo x > x.txt")),
        )
        .await;
    drydock_testing::until("the agent runs", crate::stack::PATIENCE, || async {
        mark.path().join("on").exists().then_some(())
    })
    .await;
    proxy.cut();
    let (status, body) = stack.client.send(Method::GET, &format!("/jobs/{job}"), None).await;
    assert_eq!((status.as_u16(), &body["error"]), (503, &json!("unavailable")), "{body}");
    fs_err::write(mark.path().join("off"), "").unwrap();
    proxy.heal();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], ended["attempts"].as_array().unwrap().len()), (&json!("completed"), 1), "{ended}");
}

/// Red when the listener to dead letters does not look for the stop while it connects.
#[tokio::test(flavor = "multi_thread")]
async fn t13_a_dispatcher_stops_in_time_while_rabbitmq_accepts_connections_and_says_nothing() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_AMQP_URL")).await;
    let mut stack = stack_behind("DRYDOCK_AMQP_URL", url).await;
    let leader = stack.leader().await;
    until("its connections stand", PATIENCE, || async {
        let up = "drydock_amqp_connection_up{role=\"dead-letters\"}";
        (stack.dispatcher_says(leader, up).await? > 0.5).then_some(())
    })
    .await;
    proxy.stall();
    proxy.reset();
    until("it has noticed", PATIENCE, || async {
        stack.process_logs().contains("dead letters are not heard").then_some(())
    })
    .await;
    // The first back-off is 200 ms at most; then it connects, and hangs.
    tokio::time::sleep(Duration::from_millis(400)).await;
    stack.dispatchers[leader].signal(rustix::process::Signal::TERM);
    let asked = Instant::now();
    assert!(stack.dispatchers[leader].ended().await.success());
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}
