//! Workers and pools from the command line.

use drydock_database::report::Report;
use drydock_database::{pool_count, worker};
use drydock_domain::Outcome;

use crate::{harness::Api, worker::Worker};

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_listed_drained_and_let_go() {
    let api = Api::start().await;
    let (first, second) = (Worker::start(&api).await, Worker::start(&api).await);
    let (_, job) = api.project().await;
    let attempt = first.claim(&job).await;
    let (one, two) = (first.id().to_string(), second.id().to_string());
    let listed = api.drydock("workers").ok().await.text();
    assert_eq!(listed, api.drydock("workers ls").ok().await.text());
    assert!(
        listed.lines().any(|line| line.starts_with(&one) && line.contains("live") && line.contains("1/4")),
        "{listed}"
    );
    assert_eq!(api.drydock("workers --pool gpu").ok().await.text().lines().count(), 1, "its header");

    let drained = api.drydock(&format!("workers drain {one} {two}")).ok().await.text();
    assert_eq!(drained, format!("{one} draining, 1 job to finish\n{two} drained\n"));
    // Asked again while one runs: time is up, and then it is not.
    let waiting = format!("workers drain {one} --wait");
    api.drydock(&format!("{waiting} --timeout 1s")).end().await.exit(7);
    let (waited, ()) = tokio::join!(api.drydock(&format!("{waiting} --timeout 1m")).end(), async {
        first.finish(&job, attempt, Outcome::Succeeded, &Report::default()).await;
    });
    assert_eq!((waited.code, waited.line()), (Some(0), format!("{one} drained")));
    let undrained = api.drydock(&format!("-o json workers undrain {one}")).ok().await.json();
    assert_eq!(undrained["state"], "live");
    let stops = api.database.client().await.unwrap();
    worker::drain(&stops, second.id()).await.unwrap();
    api.drydock(&format!("workers undrain {two}")).end().await.exit(5).says("it stops");
    api.drydock("workers drain 019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90").end().await.exit(4).says("Worker not found");
    worker::end(&stops, second.id()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_listed_with_what_waits() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    worker.claim(&job).await;
    api.project().await;
    let row = async || {
        let text = api.drydock("pools").ok().await.text();
        text.lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row().await, ["default", "1", "0", "0", "1/4", "?", "?", "?", "?"]);
    pool_count::count(&api.database.client().await.unwrap()).await.unwrap();
    assert_eq!(row().await[..9], ["default", "1", "0", "0", "1/4", "1", "1", "0", "2"]);
    let document = api.drydock("-o json pools ls --pool default").ok().await.json();
    assert_eq!(document["items"][0]["jobs"]["demand_slots"], 2);
}
