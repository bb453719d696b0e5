//! Batches from the command line: a file in, refused lines by number, the same file twice, results out.

use drydock_database::batch;
use drydock_domain::Outcome;
use drydock_testing::Proxy;

use crate::{harness::Api, worker::Worker};

fn line(project: &str, instruction: &str) -> String {
    format!("{{\"project_id\": \"{project}\", \"job_type\": \"edit\", \"instruction\": \"{instruction}\"}}\n")
}

/// What the dispatcher's leader does.
pub(crate) async fn step(api: &Api, id: &str) {
    let client = api.database.client().await.unwrap();
    batch::step(&client, id.parse().unwrap(), 100, 1000).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_batch_once() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.ndjson").to_str().unwrap().to_owned();
    let text = line(&project, "one") + "{\"job_type\": \"edit\"}\n" + &line(&project, "three");
    fs_err::write(&file, &text).unwrap();
    let checked = api.drydock(&format!("batch submit {file} --check")).end().await.exit(1);
    checked
        .says("line 2: project_id: Field required; instruction: Field required")
        .says("2 lines would be accepted, 1 refused");
    let first = api.drydock(&format!("batch submit {file} --max-failure-rate 10%")).end().await.exit(1);
    let first = first.says("2 lines accepted, 0 came before, 1 refused").says("stays open");
    let id = first.line();
    let second = api.drydock(&format!("batch submit {file} --max-failure-rate 10%")).end().await.exit(1);
    assert_eq!(second.says("0 lines accepted, 2 came before").line(), id, "the same file twice is one batch");
    api.drydock(&format!("batch submit {file}")).end().await.exit(2).says("--again");
    fs_err::write(&file, text.replace("{\"job_type\": \"edit\"}\n", &line(&project, "two"))).unwrap();
    let mended = api.drydock(&format!("batch submit {file} --batch {id}")).ok().await;
    assert_eq!(mended.says("1 lines accepted, 2 came before, 0 refused").line(), id);
    let shown = api.drydock(&format!("batch status {id}")).ok().await.text();
    for line in [
        "name          jobs.ndjson\n",
        "status        queued (queued)\n",
        "jobs          0/3 done\n",
        "held          3 not let go yet\n",
        "max failures  10%\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let listed = api.drydock("batch ls").ok().await.text();
    assert!(listed.contains(&id) && listed.contains("0/3 done"), "{listed}");
    let again = api.drydock(&format!("batch submit {file} --again")).ok().await.line();
    assert_ne!(again, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_waited_for_and_mended() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.ndjson").to_str().unwrap().to_owned();
    let ((a, first_a), (b, first_b)) = (api.project().await, api.project().await);
    for job in [&first_a, &first_b] {
        worker.end(job, Outcome::Succeeded).await;
    }
    fs_err::write(&file, line(&a, "one") + &line(&b, "two")).unwrap();
    let id = api.drydock(&format!("batch submit {file} --name both --label team=a")).ok().await.line();
    let refused = ["batch", "set", &id];
    api.drydock_with(&refused).end().await.exit(2).says("nothing to change");
    let set = api.drydock(&format!("batch set {id} --max-running 5")).ok().await.text();
    assert!(set.contains("max running  5\n") && set.contains("label        team=a\n"), "{set}");
    assert!(api.drydock(&format!("batch pause {id}")).ok().await.text().contains("(paused)"));
    api.drydock(&format!("batch wait {id} --timeout 300ms")).end().await.exit(7).says("paused: 0/2 done");
    api.drydock(&format!("batch resume {id}")).ok().await;
    step(&api, &id).await;
    let waiting = api.drydock(&format!("batch wait {id}")).start();
    for (line, outcome) in [(0, Outcome::Failed), (1, Outcome::Succeeded)] {
        let rows = api.drydock(&format!("batch results {id}")).ok().await.text();
        let row: serde_json::Value = serde_json::from_str(rows.lines().nth(line).unwrap()).unwrap();
        let job = row["job_id"].as_str().unwrap().to_owned();
        worker.end(&job, outcome).await;
    }
    step(&api, &id).await;
    let ended = crate::harness::Ended::of(waiting).await.exit(1);
    assert!(ended.text().contains("jobs         1/2 done, 1 failed\n"), "{}", ended.text());
    let causes = api.drydock(&format!("batch failures {id}")).ok().await.text();
    assert!(causes.lines().nth(1).unwrap().starts_with("1     agent  "), "{causes}");
    let failed = api.drydock(&format!("batch results {id} --status error")).ok().await.text();
    assert_eq!(failed.lines().count(), 1);
    api.drydock(&format!("batch retry-failed {id}")).ok().await.says("1 lines run again");
    api.drydock(&format!("batch cancel {id} --reason enough")).ok().await;
    for _ in 0..2 {
        step(&api, &id).await;
    }
    let over = api.drydock(&format!("--json batch wait {id}")).end().await.exit(8).json();
    assert_eq!((&over["status"], &over["cancel_reason"]), (&"cancelled".into(), &"enough".into()));
    api.drydock("batch status nothing").end().await.exit(4).says("Batch not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_is_sent_again() {
    let api = Api::start().await;
    let way = Proxy::start(api.address.to_string()).await;
    let (project, _) = api.project().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.ndjson").to_str().unwrap().to_owned();
    let text: String = (0..20_000).map(|n| line(&project, &format!("do number {n}"))).collect();
    fs_err::write(&file, text).unwrap();
    let server = format!("http://{}", way.address());
    way.cut_after(1_000_000);
    let ended = api.drydock(&format!("batch submit {file}")).env("DRYDOCK_API_URL", &server).ok().await;
    let ended = ended.says("what arrived is not done twice");
    let batch: serde_json::Value = serde_json::from_str(&api.get(&format!("/batches/{}", ended.line())).await).unwrap();
    assert_eq!((&batch["total"], &batch["closed"]), (&20_000.into(), &true.into()));
}
