//! Jobs let go, taken back, cancelled, run again.

use drydock_database::batch::{self, BatchSettings, Changed};
use drydock_database::{job, page::Cursor, schedule};
use drydock_domain::Outcome;

use super::{Batch, T};

#[tokio::test]
async fn jobs_go_as_the_fleet_takes_them() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 20, BatchSettings::default()).await;
    batch.fill(20).await;
    assert!(batch.fleet.admit().await.is_empty(), "none before the batch lets it go");
    assert_eq!(batch.step(6).await.let_go, 6);
    assert_eq!(batch.step(6).await.let_go, 0, "there are enough");
    assert_eq!(batch.run(Outcome::Succeeded).await, 4, "the fleet's slots");
    assert_eq!(batch.step(6).await.let_go, 4);
    assert_eq!(batch.counts().await, [16, 0, 4, 0, 0]);
    while !batch.step(6).await.finished {
        batch.run(Outcome::Succeeded).await;
    }
    let row = batch.row().await;
    assert_eq!(batch.counts().await, [0, 0, 20, 0, 0]);
    assert!(row.finished_at.is_some() && row.started_at < row.finished_at && row.rate.unwrap() > 1.0, "{row:?}");
    assert_eq!(batch::due(batch.client(), 10).await.unwrap(), [], "nothing is left to do");
}

#[tokio::test]
async fn a_file_in_order_of_projects_still_uses_the_fleet() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    let mut lines: Vec<_> = (1..=60).map(|line| batch.line(line)).collect();
    for line in &mut lines {
        line.job.project = batch.projects[usize::from(line.line > 50)];
    }
    batch::accept(batch.client(), T, batch.id, &lines).await.unwrap();
    // Those that wait behind the first of their project do not count: the other project's turn comes.
    for _ in 0..60 {
        batch.step(10).await;
    }
    assert_eq!(batch.in_state("queued").await, 2);
    assert_eq!(batch.fleet.admit().await.len(), 2);
}

#[tokio::test]
async fn one_that_no_worker_takes_keeps_none_back() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 9, BatchSettings::default()).await;
    let mut lines: Vec<_> = (1..=9).map(|line| batch.line(line)).collect();
    for line in &mut lines[..5] {
        line.job.agent = Some("nobody".to_owned());
    }
    batch::accept(batch.client(), T, batch.id, &lines).await.unwrap();
    assert_eq!(batch.step(5).await.let_go, 5);
    assert_eq!((batch.run(Outcome::Succeeded).await, batch.step(5).await.let_go), (0, 0));
    let sql = "UPDATE job SET queued_at = queued_at - interval '11 s' WHERE state = 'queued'";
    batch.client().execute(sql, &[]).await.unwrap();
    assert_eq!((batch.step(5).await.let_go, batch.run(Outcome::Succeeded).await), (4, 4));
}

#[tokio::test]
async fn of_higher_priority_means_earlier() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 5, BatchSettings::default()).await;
    let mut lines: Vec<_> = (1..=5).map(|line| batch.line(line)).collect();
    lines[3].job.priority = 9;
    batch::accept(batch.client(), T, batch.id, &lines).await.unwrap();
    batch.step(1).await;
    assert_eq!(batch.fleet.state(batch.job(4).await).await, "queued");
    assert_eq!(batch.in_state("scheduled").await, 4);
}

#[tokio::test]
async fn at_most_so_many_are_under_way() {
    let database = drydock_testing::database().await;
    let settings = BatchSettings { max_running: Some(3), ..BatchSettings::default() };
    let batch = Batch::new(&database, 10, settings).await;
    batch.fill(10).await;
    assert_eq!(batch.step(100).await.let_go, 3);
    let tickets = batch.fleet.admit().await;
    let (attempt, _) = batch.fleet.claim(&tickets[0]).await;
    assert_eq!(batch.step(100).await.let_go, 0);
    batch.fleet.finish(tickets[0].job, attempt, Outcome::Succeeded, None).await;
    assert_eq!(batch.step(100).await.let_go, 1);
}

#[tokio::test]
async fn a_time_of_its_own_is_kept() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    let mut lines = [batch.line(1), batch.line(2)];
    lines[0].job.run_at = Some(chrono::Utc::now() + chrono::TimeDelta::hours(1));
    lines[0].job.queue_timeout_s = Some(60);
    batch::accept(batch.client(), T, batch.id, &lines).await.unwrap();
    assert_eq!(job::end_waits(batch.client(), 10).await.unwrap().total(), 0, "held jobs are due for nothing");
    let expires = "SELECT extract(epoch FROM expires_at - now())::float8 FROM job WHERE batch_line = 1";
    let expires = async || batch.client().query_one(expires, &[]).await.unwrap().get::<_, Option<f64>>(0);
    assert_eq!(expires().await, None, "it has waited for no worker yet");
    assert_eq!(batch.step(100).await.let_go, 2);
    assert!((3600.0..3661.0).contains(&expires().await.unwrap()), "a minute from when it is due");
    assert_eq!((batch.in_state("scheduled").await, batch.in_state("queued").await), (1, 1));
    batch.client().execute("UPDATE job SET run_at = now() WHERE state = 'scheduled'", &[]).await.unwrap();
    assert_eq!(job::end_waits(batch.client(), 10).await.unwrap().due, 1);
    batch.check().await;
}

#[tokio::test]
async fn a_pause_takes_back_those_that_wait() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 8, BatchSettings::default()).await;
    batch.fill(16).await;
    assert_eq!(batch.step(100).await.let_go, 16);
    let tickets = batch.fleet.admit().await;
    let (attempt, _) = batch.fleet.claim(&tickets[0]).await;
    assert_eq!(batch::pause(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch::pause(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(100).await.taken_back, 12, "one runs, three have tickets");
    assert_eq!(batch.step(100).await.moved(), 0);
    batch.fleet.finish(tickets[0].job, attempt, Outcome::Succeeded, None).await;
    assert_eq!(batch.step(100).await.moved(), 0, "and the next of its project does not follow");
    assert!(batch.fleet.admit().await.is_empty());
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(100).await.let_go, 12);
    assert_eq!(batch.counts().await, [15, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_cancel_ends_all_that_is_not_over() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 20, BatchSettings::default()).await;
    assert_eq!(batch.send(1..=20).await, []);
    batch.step(6).await;
    assert_eq!(batch.run(Outcome::Succeeded).await, 4);
    let running = batch.fleet.admit().await.remove(0);
    let (attempt, _) = batch.fleet.claim(&running).await;
    assert_eq!(batch::cancel(batch.client(), T, batch.id, Some("enough")).await.unwrap(), Changed::Done);
    assert_eq!(batch::cancel(batch.client(), T, batch.id, Some("really")).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(6).await.cancelled, 14, "those that were held");
    assert_eq!(batch.step(6).await.cancelled, 2, "one that waited, one that runs");
    assert_eq!(batch.counts().await, [0, 1, 4, 0, 15]);
    assert!(batch.row().await.closed && batch.row().await.finished_at.is_none());
    batch.fleet.finish(running.job, attempt, Outcome::Succeeded, None).await;
    assert!(batch.step(6).await.finished);
    assert_eq!(batch.counts().await, [0, 0, 4, 0, 16]);
    assert_eq!(batch.row().await.cancel_reason.as_deref(), Some("enough"), "the first word");
    assert_eq!(batch::cancel(batch.client(), T, batch.id, None).await.unwrap(), Changed::Final);
    assert_eq!(batch::pause(batch.client(), T, batch.id).await.unwrap(), Changed::Final);
    let now = schedule::now(batch.client()).await.unwrap();
    let again = batch::retry_failed(batch.client(), T, batch.id, now, 10).await.unwrap();
    assert_eq!(again, Err(Changed::Cancelling));
}

#[tokio::test]
async fn failures_run_again_once() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 6, BatchSettings::default()).await;
    batch.fill(6).await;
    batch.step(4).await;
    assert_eq!(batch.run(Outcome::Failed).await, 4);
    batch.step(4).await;
    assert_eq!(batch.run(Outcome::Succeeded).await, 2);
    assert!(batch.step(4).await.finished);
    let (old, now) = (batch.job(2).await, schedule::now(batch.client()).await.unwrap());
    let causes = batch::causes(batch.client(), T, batch.id, 100).await.unwrap();
    assert_eq!(causes.iter().map(|cause| (cause.kind.as_str(), cause.jobs)).collect::<Vec<_>>(), [("agent", 4)]);
    let before = now - chrono::TimeDelta::hours(1);
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, before, 10).await.unwrap(), Ok(0), "none by then");
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 3).await.unwrap(), Ok(3));
    batch.check().await;
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 3).await.unwrap(), Ok(1));
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 3).await.unwrap(), Ok(0));
    assert_eq!(batch.counts().await, [4, 0, 2, 0, 0]);
    assert!(batch.row().await.finished_at.is_none(), "it goes on");
    let (new, tenant) = (batch.job(2).await, T);
    let (was, is) =
        (job::find(batch.client(), tenant, old).await.unwrap(), job::find(batch.client(), tenant, new).await.unwrap());
    assert_eq!((was.unwrap().retried_by, is.unwrap().retry_of), (Some(new), Some(old)));
    assert_eq!(batch.send([2]).await, [(2, batch::LineOutcome::Replayed)], "the line is still the same");
    while !batch.step(9).await.finished {
        batch.run(Outcome::Succeeded).await;
    }
    assert_eq!(batch.counts().await, [0, 0, 6, 0, 0]);
}

#[tokio::test]
async fn two_leaders_do_not_step_on_each_other() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 50, BatchSettings::default()).await;
    batch.fill(50).await;
    let other = database.client().await.unwrap();
    let mut let_go = 0;
    for _ in 0..10 {
        let both = tokio::join!(batch::step(batch.client(), batch.id, 50, 5), batch::step(&other, batch.id, 50, 5));
        for stepped in [both.0.unwrap(), both.1.unwrap()].into_iter().flatten() {
            let_go += stepped.let_go;
        }
        batch.check().await;
    }
    assert_eq!(let_go, 50);
}

#[tokio::test]
async fn readers_go_beside_the_writer() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 1, BatchSettings::default()).await;
    let mut lines: Vec<_> = (1..=6).map(|line| batch.line(line)).collect();
    for line in &mut lines[1..5] {
        line.job.read_only = true;
    }
    batch::accept(batch.client(), T, batch.id, &lines).await.unwrap();
    assert_eq!(batch.step(100).await.let_go, 6);
    assert_eq!((batch.in_state("queued").await, batch.in_state("pending").await), (3, 3), "a writer and two readers");
}

#[tokio::test]
async fn a_pause_takes_back_one_that_backs_off() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 1, BatchSettings::default()).await;
    batch.fill(1).await;
    batch.step(100).await;
    assert_eq!(batch.run(Outcome::Infra).await, 1);
    let backing_off = "SELECT count(*) FROM job WHERE backing_off";
    let backing_off = async || batch.client().query_one(backing_off, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(backing_off().await, 1);
    batch::pause(batch.client(), T, batch.id).await.unwrap();
    assert_eq!((batch.step(100).await.taken_back, backing_off().await), (1, 0));
}

#[tokio::test]
async fn who_depends_on_a_held_job_hears_of_its_cancel() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    batch.fill(2).await;
    let held = batch.job(1).await;
    let waiting = batch.fleet.accept(|job| job.depends_on = vec![held]).await;
    batch::cancel(batch.client(), T, batch.id, None).await.unwrap();
    assert_eq!(batch.step(100).await.cancelled, 2);
    assert_eq!(job::end_waits(batch.client(), 10).await.unwrap().depend, 1);
    assert_eq!(batch.fleet.state(waiting).await, "failed");
}

#[tokio::test]
async fn failures_of_a_deleted_project_do_not_run_again() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    batch.fill(2).await;
    batch.step(100).await;
    assert_eq!(batch.run(Outcome::Failed).await, 2);
    let sql = "UPDATE project SET deleted_at = now() WHERE id = $1";
    batch.client().execute(sql, &[&batch.projects[1].uuid()]).await.unwrap();
    let now = schedule::now(batch.client()).await.unwrap();
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 9).await.unwrap(), Ok(1));
    batch.check().await;
}

#[tokio::test]
async fn a_batch_that_rested_goes_on_however_long_it_was() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 2, BatchSettings::default()).await;
    batch.fill(2).await;
    batch.step(100).await;
    assert_eq!(batch.run(Outcome::Failed).await, 2);
    assert!(batch.step(100).await.finished);
    for (minutes, rate) in [(59, 1e-305), (15 * 60, 1.0), (365 * 24 * 60, 1.0)] {
        let sql = "UPDATE batch SET stepped_at = now() - make_interval(mins => $1), rate = $2";
        batch.client().execute(sql, &[&minutes, &rate]).await.unwrap();
        let row = batch.row().await;
        assert!(row.rate.is_none_or(|rate| rate < 1e-6), "{row:?}");
        assert_eq!(batch::list(batch.client(), T, Cursor::start(), 10).await.unwrap().items.len(), 1);
        let now = schedule::now(batch.client()).await.unwrap();
        assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 9).await.unwrap(), Ok(2));
        assert_eq!(batch.step(100).await.let_go, 2);
        assert_eq!(batch.run(Outcome::Failed).await, 2);
        batch.step(100).await;
    }
}

#[tokio::test]
async fn a_cancel_lets_nobody_start_in_the_place_of_who_it_cancels() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 1, BatchSettings::default()).await;
    batch.fill(250).await;
    assert_eq!(batch.step(1000).await.let_go, 250);
    let head = batch.job(1).await;
    batch::cancel(batch.client(), T, batch.id, None).await.unwrap();
    assert_eq!(batch.step(1000).await.cancelled, 200);
    assert_eq!(batch.fleet.state(head).await, "queued", "those that wait behind it go first");
    let last = batch.step(1000).await;
    assert_eq!((last.cancelled, last.finished), (50, true));
    assert_eq!(batch.counts().await, [0, 0, 0, 0, 250]);
}

#[tokio::test]
async fn lines_on_their_way_keep_no_step_back_and_a_close_waits_for_them() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 4, BatchSettings::default()).await;
    assert_eq!(batch.send(1..=2).await, []);
    let mut other = database.client().await.unwrap();
    let accepting = other.transaction().await.unwrap();
    let lines = [batch.line(3)];
    batch::accept(&accepting, T, batch.id, &lines).await.unwrap();
    assert_eq!(batch.step(100).await.let_go, 2);
    let closer = database.client().await.unwrap();
    let id = batch.id;
    let closing = drydock_runtime::tasks::spawn("close", async move { batch::close(&closer, T, id).await });
    drydock_testing::until("the close waits", std::time::Duration::from_secs(10), async || {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (batch.client().query_one(sql, &[]).await.ok()?.get::<_, i64>(0) > 0).then_some(())
    })
    .await;
    accepting.commit().await.unwrap();
    assert_eq!(closing.await.unwrap().unwrap(), Changed::Done);
    assert_eq!(batch.row().await.counts.total(), 3);
    assert!(batch.row().await.closed);
}
