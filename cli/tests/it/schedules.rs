//! Schedules: made, listed, shown, paused, resumed, removed.

use crate::{harness::Api, worker::Worker};

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_from_end_to_end() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let (project, _) = api.project().await;
    let words = [
        "schedule",
        "create",
        &project,
        "--name",
        "nightly",
        "--cron",
        "30 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--missed",
        "skip",
        "--requires",
        "gpu=a100",
        "--timeout",
        "90s",
        "--",
        "make",
        "all",
    ];
    let id = api.drydock_with(&words).ok().await.says("the first job is made at").line();
    let shown = api.drydock(&format!("schedule show {id}")).ok().await.text();
    for line in
        ["name      nightly\n", "cron      30 2 * * * (Europe/Berlin)\n", "missed    skip\n", "job       make all\n"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(shown.lines().filter(|line| line.starts_with("next ")).count(), 5, "{shown}");
    let json = api.drydock(&format!("--json schedule show {id}")).ok().await;
    assert_eq!(json.line(), api.get(&format!("/schedules/{id}")).await);
    assert_eq!(
        (&json.json()["job"]["timeout_s"], &json.json()["job"]["requires"]["gpu"]),
        (&90.into(), &"a100".into())
    );
    let paused = api.drydock(&format!("schedule pause {id}")).ok().await.text();
    assert!(paused.contains("next      paused"), "{paused}");
    let listed = api.drydock(&format!("schedule ls {project}")).ok().await.text();
    assert!(listed.lines().nth(1).unwrap().contains(" paused "), "{listed}");
    let resumed = api.drydock(&format!("schedule resume {id}")).ok().await.text();
    assert_eq!(resumed.trim_end(), shown.trim_end());
    let bad = ["schedule", "create", &project, "--name", "n", "--cron", "61 * * * *", "--", "true"];
    api.drydock_with(&bad).end().await.exit(2).says("'30 6 * * MON-FRI'");
    api.drydock(&format!("schedule rm {id}")).ok().await.says("removed");
    api.drydock(&format!("schedule show {id}")).end().await.exit(4).says("Schedule not found");
    assert_eq!(api.drydock("schedule ls").ok().await.text().lines().count(), 1);
}
