//! Lines in: each once, whoever sends it how often.

use drydock_database::batch::{
    self, BatchSettings, Changed, Created, LineFilter, LineOutcome, NewBatch, Refused, accept,
};
use drydock_database::job::{Idempotency, JobFilter};
use drydock_database::page::Cursor;
use drydock_database::{job, project};
use drydock_domain::{BatchId, Isolation, ProjectId, TenantId};
use serde_json::json;

use super::{Batch, T};

#[tokio::test]
async fn a_line_is_a_job_once() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 3, BatchSettings::default()).await;
    assert_eq!(batch.send(1..=5).await, []);
    let replayed = (1..=5).map(|line| (line, LineOutcome::Replayed)).collect::<Vec<_>>();
    assert_eq!(batch.send(1..=7).await, replayed, "two were new");
    let mut other = batch.line(3);
    other.hash = 99;
    let answer = accept(batch.client(), T, batch.id, &[other]).await.unwrap();
    assert_eq!(answer, Refused::Lines(vec![(3, LineOutcome::LineReused)]));
    assert_eq!(batch.counts().await, [7, 0, 0, 0, 0]);
    batch.check().await;
    let rows = batch::lines(batch.client(), T, batch.id, LineFilter::All, 2, 3).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.line, row.title.as_str())).collect::<Vec<_>>(),
        [(3, "line 3"), (4, "line 4"), (5, "line 5")]
    );
    let filter = JobFilter { batch: Some(batch.id), ..JobFilter::default() };
    let page = job::list(batch.client(), T, &filter, Cursor::start(), 2).await.unwrap();
    assert_eq!(page.items.iter().map(|row| row.batch_line).collect::<Vec<_>>(), [Some(7), Some(6)]);
    assert!(page.next.is_some());
}

#[tokio::test]
async fn what_is_not_there_is_told_line_by_line() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    let mut lines = vec![batch.line(1), batch.line(2), batch.line(3)];
    lines[1].job.project = ProjectId::generate();
    let answer = accept(batch.client(), T, batch.id, &lines).await.unwrap();
    assert_eq!(answer, Refused::Lines(vec![(2, LineOutcome::NoProject)]));
    let sql = "UPDATE project SET deleted_at = $2 WHERE id = $1";
    let (project, now) = (batch.projects[1], chrono::Utc::now());
    batch.client().execute(sql, &[&project.uuid(), &Some(now)]).await.unwrap();
    let deleted = accept(batch.client(), T, batch.id, &[batch.line(4)]).await.unwrap();
    assert_eq!(deleted, Refused::Lines(vec![(4, LineOutcome::NoProject)]));
    batch.client().execute(sql, &[&project.uuid(), &None::<chrono::DateTime<chrono::Utc>>]).await.unwrap();
    // The line can be mended.
    assert_eq!(batch.send(1..=3).await, [(1, LineOutcome::Replayed), (3, LineOutcome::Replayed)]);
    let nobody = accept(batch.client(), T, BatchId::generate(), &lines).await.unwrap();
    assert_eq!(nobody, Refused::NoBatch);
    let stranger = accept(batch.client(), TenantId::generate(), batch.id, &lines).await.unwrap();
    assert_eq!(stranger, Refused::NoBatch, "another tenant's");
    assert_eq!(batch::close(batch.client(), TenantId::generate(), batch.id).await.unwrap(), Changed::NoBatch);
    assert_eq!(batch::close(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.send([3, 4]).await, [(3, LineOutcome::Replayed), (4, LineOutcome::Closed)]);
    batch.check().await;
}

#[tokio::test]
async fn two_clients_with_one_file_make_one_batch() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 10, BatchSettings::default()).await;
    let (other, id) = (database.client().await.unwrap(), batch.id);
    for round in 0..5 {
        let lines: Vec<_> = (1..=400).map(|line| batch.line(round * 400 + line)).collect();
        // In the opposite order, so that neither is always first.
        let back: Vec<_> = lines.iter().rev().cloned().collect();
        let both = tokio::join!(accept(batch.client(), T, id, &lines), accept(&other, T, id, &back));
        let refused: usize = [both.0.unwrap(), both.1.unwrap()]
            .iter()
            .map(|answer| match answer {
                Refused::Lines(lines) => {
                    assert!(lines.iter().all(|(_, outcome)| *outcome == LineOutcome::Replayed), "{lines:?}");
                    lines.len()
                }
                Refused::NoBatch => panic!("it is there"),
            })
            .sum();
        assert_eq!(refused, 400, "each line was one's or the other's");
    }
    assert_eq!(batch.counts().await, [2000, 0, 0, 0, 0]);
    batch.check().await;
}

#[tokio::test]
async fn a_key_makes_one_batch() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let new = |byte: u8| NewBatch {
        id: BatchId::generate(),
        name: "n".to_owned(),
        labels: json!({}),
        settings: BatchSettings::default(),
        idempotency: Some(Idempotency { key: "k".to_owned(), fingerprint: [byte; 32] }),
    };
    let first = new(1);
    assert_eq!(batch::create(&client, T, &first).await.unwrap(), Created::New(first.id));
    assert_eq!(batch::create(&client, T, &new(1)).await.unwrap(), Created::Replayed(first.id));
    assert_eq!(batch::create(&client, T, &new(2)).await.unwrap(), Created::KeyReused);
    assert_eq!(batch::list(&client, T, Cursor::start(), 10).await.unwrap().items.len(), 1);
    assert_eq!(batch::list(&client, TenantId::generate(), Cursor::start(), 10).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn jobs_of_a_project_that_was_deleted_meanwhile_end_when_their_turn_comes() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    batch.fill(4).await;
    // As if the lines had come in the middle of the deletion.
    let sql = "UPDATE project SET deleted_at = now() WHERE id = $1";
    batch.client().execute(sql, &[&batch.projects[1].uuid()]).await.unwrap();
    assert_eq!(batch.step(100).await.let_go, 4);
    assert_eq!(batch.counts().await, [2, 0, 0, 0, 2]);
    assert!(project::find(batch.client(), T, batch.projects[1]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lines_isolation_is_never_less_than_its_projects() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    let sql = "UPDATE project SET min_isolation = 'namespace' WHERE id = $1";
    batch.client().execute(sql, &[&batch.projects[0].uuid()]).await.unwrap();
    let mut lines = [batch.line(1), batch.line(2)];
    lines[1].job.min_isolation = Isolation::Vm;
    accept(batch.client(), T, batch.id, &lines).await.unwrap();
    let sql = "SELECT min_isolation::text, demand FROM job WHERE batch_id = $1 ORDER BY batch_line";
    let rows = batch.client().query(sql, &[&batch.id.uuid()]).await.unwrap();
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(told, [("namespace", "dummy namespace {}"), ("vm", "dummy vm {}")]);
}
