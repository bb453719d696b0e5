//! Jobs: submitted, listed, shown, waited for.

use drydock_database::report::Report;
use drydock_domain::Outcome;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::ChildStderr,
};

use crate::{
    harness::{Api, Ended, PATIENCE},
    worker::Worker,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_submitted_is_what_was_typed() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let (project, _) = api.project().await;
    let words = [
        "job",
        "submit",
        &project,
        "--priority",
        "7",
        "--timeout",
        "90s",
        "--label",
        "team=web",
        "--",
        "sh",
        "-c",
        "exit 3",
    ];
    let command = api.drydock_with(&words).ok().await.says("drydock job logs").line();
    let row = api.database.client().await.unwrap();
    let row = row
        .query_one("SELECT argv, priority, timeout_s, labels FROM job WHERE id = $1::text::uuid", &[&command])
        .await
        .unwrap();
    assert_eq!(row.get::<_, Vec<String>>("argv"), ["sh", "-c", "exit 3"]);
    assert_eq!((row.get::<_, i16>("priority"), row.get::<_, Option<i32>>("timeout_s")), (7, Some(90)));
    assert_eq!(row.get::<_, serde_json::Value>("labels"), serde_json::json!({"team": "web"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_and_shown_as_the_api_says_them() {
    let api = Api::start().await;
    let _worker = Worker::start(&api).await;
    let (project, first) = api.project().await;
    let labelled = ["job", "submit", &project, "--label", "team=web", "--", "true"];
    let command = api.drydock_with(&labelled).ok().await.line();
    let edit = api.drydock_with(&["job", "submit", &project, "-i", "do more", "--agent", "dummy"]).ok().await.line();
    let listed = api.drydock(&format!("job ls {project}")).ok().await.text();
    let ids: Vec<&str> = listed.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ids, [&edit, &command, &first], "newest first");
    let labelled = api.drydock("--json job ls --label team=web --type command").ok().await;
    assert_eq!(labelled.line(), api.get("/jobs?label=team=web&type=command").await);
    assert_eq!(labelled.json()["items"][0]["id"], command.as_str());
    let page = api.drydock(&format!("job ls {project} --limit 2")).ok().await.says("--cursor ");
    assert_eq!(page.text().lines().count(), 3);
    assert_eq!(
        api.drydock(&format!("--json job show {first}")).ok().await.line(),
        api.get(&format!("/jobs/{first}")).await
    );
    let shown = api.drydock(&format!("job show {edit}")).ok().await.text();
    let waits = format!(
        "waits     lane: its project is held by job {first} (queued); position 2 among those that wait for it\n"
    );
    assert!(shown.contains("title     do more\n") && shown.contains(&waits), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_cancelled_and_run_again() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let words = ["job", "retry", &job];
    api.drydock_with(&words).end().await.exit(5).says("Job is queued: only a job that is over can be run again");
    let words = ["job", "cancel", &job, "--reason", "wrong branch"];
    assert_eq!(api.drydock_with(&words).ok().await.line(), format!("{job} cancelled"));
    assert_eq!(api.drydock_with(&words).ok().await.line(), format!("{job} cancelled"), "again");
    let shown = api.drydock(&format!("job show {job}")).ok().await.text();
    assert!(shown.contains("status  cancelled\n") || shown.contains("reason    wrong branch\n"), "{shown}");
    let again = api.drydock(&format!("job retry {job}")).ok().await.says("drydock job logs").line();
    let listed = api.drydock("job ls --detail queued --status queued").ok().await.text();
    assert_eq!(listed.lines().nth(1).unwrap().split(' ').next(), Some(again.as_str()));
    let shown = api.drydock(&format!("job show {again}")).ok().await.text();
    assert!(shown.contains(&format!("retry of  {job}\n")), "{shown}");
    let attempt = worker.claim(&again).await;
    assert_eq!(api.drydock(&format!("job cancel {again}")).ok().await.line(), format!("{again} cancelling"));
    worker.finish(&again, attempt, Outcome::Canceled, &Report::default()).await;
    let third = api.drydock(&format!("--json job retry {again} --wait 300ms")).end().await.exit(7).json();
    assert_eq!(third["retry_of"], again.as_str());
    assert_eq!(api.drydock("job ls --detail dead").ok().await.text().lines().count(), 1, "only the header");
    api.drydock("job ls --detail undead").end().await.exit(2).says("detail");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_as_the_jobs_do() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let mut jobs = Vec::new();
    for outcome in [Outcome::Succeeded, Outcome::Failed, Outcome::Canceled] {
        let (_, job) = api.project().await;
        let attempt = worker.claim(&job).await;
        jobs.push((job, attempt, outcome));
    }
    let cancel = "UPDATE job SET cancel_at = now() WHERE id = $1::text::uuid";
    assert_eq!(api.database.client().await.unwrap().execute(cancel, &[&jobs[2].0]).await.unwrap(), 1);
    let (_, waiting) = api.project().await;
    let early = api.drydock(&format!("job wait {waiting} --timeout 300ms")).end().await.exit(7);
    assert!(early.out.is_empty() && early.err.contains("is not over yet"), "{}", early.err);
    for (job, attempt, outcome) in &jobs {
        worker.finish(job, *attempt, *outcome, &Report::default()).await;
    }
    let ids: Vec<&str> = jobs.iter().map(|(job, ..)| job.as_str()).collect();
    for (job, code) in ids.iter().zip([0, 1, 8]) {
        let ended = api.drydock(&format!("--json job wait {job}")).end().await.exit(code);
        assert_eq!(ended.line(), api.get(&format!("/jobs/{job}")).await);
    }
    let all = api.drydock(&format!("job wait {}", ids.join(" "))).end().await.exit(1);
    assert_eq!(all.text().lines().count(), 3);
    api.drydock(&format!("job wait {} {} --timeout 300ms", ids[0], waiting)).end().await.exit(7);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_outlives_the_server() {
    let mut api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let mut waiting = api.drydock(&format!("job wait {job} --timeout 20s")).start();
    let attempt = worker.claim(&job).await;
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines();
    said_until(&mut said, "in_progress").await;
    api.stop().await;
    said_until(&mut said, "cannot reach").await;
    api.start_again().await;
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default()).await;
    said_until(&mut said, "completed after").await;
    Ended::of(waiting).await.exit(0);
}

async fn said_until(lines: &mut Lines<BufReader<ChildStderr>>, words: &str) {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("the command ended without '{words}'");
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no '{words}' in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_the_job_alone() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (_, job) = api.project().await;
    let attempt = worker.claim(&job).await;
    let mut child = api.drydock(&format!("job wait {job}")).start();
    // Once it has told of the job's state it is surely waiting.
    let mut first = [0_u8; 1];
    let mut stderr = child.stderr.take().unwrap();
    tokio::io::AsyncReadExt::read_exact(&mut stderr, &mut first).await.unwrap();
    let kill =
        tokio::process::Command::new("kill").args(["-INT", &child.id().unwrap().to_string()]).status().await.unwrap();
    assert!(kill.success());
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut said).await.unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains(&format!("To come back: drydock job wait {job}\n")), "{said}");
    worker.finish(&job, attempt, Outcome::Succeeded, &Report::default()).await;
}
