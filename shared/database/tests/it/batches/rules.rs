//! Its own rules: canary, failure rate, budget.

use drydock_database::batch::{self, BatchSettings, Changed, PauseReason};
use drydock_database::schedule;
use drydock_domain::Outcome;

use super::{Batch, T};

#[tokio::test]
async fn the_others_follow_a_canary_that_ended_well() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 10, BatchSettings { canary: Some(3), ..BatchSettings::default() }).await;
    batch.fill(10).await;
    assert_eq!(batch.step(100).await.let_go, 3);
    assert_eq!(batch.step(100).await.let_go, 0);
    assert!(!batch.row().await.canary_passed);
    assert_eq!(batch.run(Outcome::Succeeded).await, 3);
    assert_eq!(batch.step(100).await.let_go, 7);
    assert!(batch.row().await.canary_passed);
}

#[tokio::test]
async fn a_canary_that_failed_pauses_until_somebody_has_looked() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 10, BatchSettings { canary: Some(3), ..BatchSettings::default() }).await;
    batch.fill(10).await;
    batch.step(100).await;
    let tickets = batch.fleet.admit().await;
    for (ticket, outcome) in tickets.iter().zip([Outcome::Succeeded, Outcome::Failed, Outcome::Succeeded]) {
        assert_eq!(batch.step(100).await.paused, None, "not before all of them are over");
        let (attempt, _) = batch.fleet.claim(ticket).await;
        batch.fleet.finish(ticket.job, attempt, outcome, None).await;
    }
    assert_eq!(batch.step(100).await.paused, Some(PauseReason::Canary));
    assert_eq!(batch.row().await.paused, Some(PauseReason::Canary));
    assert_eq!(batch.step(100).await.moved(), 0);
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(100).await.let_go, 7);
}

#[tokio::test]
async fn too_many_failures_pause_and_count_anew_after_a_resumption() {
    let database = drydock_testing::database().await;
    let settings = BatchSettings { max_failure_rate: Some(0.3), ..BatchSettings::default() };
    let batch = Batch::new(&database, 20, settings).await;
    batch.fill(20).await;
    batch.step(2).await;
    assert_eq!(batch.run(Outcome::Failed).await, 2);
    assert_eq!(batch.step(1).await.paused, None, "two of twenty say nothing yet");
    batch.run(Outcome::Succeeded).await;
    batch.step(1).await;
    batch.run(Outcome::Failed).await;
    assert_eq!(batch.step(1).await.paused, Some(PauseReason::FailureRate), "3 of 4");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    for _ in 0..3 {
        assert_eq!(batch.step(1).await.paused, None);
        batch.run(Outcome::Succeeded).await;
    }
    batch.step(1).await;
    batch.run(Outcome::Failed).await;
    assert_eq!(batch.step(1).await.paused, None, "1 of 4 since");
    batch.run(Outcome::Failed).await;
    assert_eq!(batch.step(1).await.paused, Some(PauseReason::FailureRate), "2 of 5 since");
}

#[tokio::test]
async fn a_budget_that_is_used_up_has_to_be_raised() {
    let database = drydock_testing::database().await;
    let settings = BatchSettings { budget_slot_s: Some(60), ..BatchSettings::default() };
    let batch = Batch::new(&database, 3, settings).await;
    batch.fill(3).await;
    batch.step(1).await;
    let ticket = batch.fleet.admit().await.remove(0);
    let (attempt, _) = batch.fleet.claim(&ticket).await;
    let sql = "UPDATE attempt SET started_at = started_at - interval '61 s'";
    batch.client().execute(sql, &[]).await.unwrap();
    batch.fleet.finish(ticket.job, attempt, Outcome::Interrupted, None).await;
    assert!((61.0..70.0).contains(&batch.row().await.slot_s), "an attempt that is repeated has used its slot too");
    assert_eq!(batch.step(9).await.paused, Some(PauseReason::Budget));
    assert_eq!(batch.in_state("scheduled").await, 3, "also what had been let go");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Budget);
    let raised = BatchSettings { budget_slot_s: Some(120), ..BatchSettings::default() };
    assert_eq!(batch::change(batch.client(), T, batch.id, None, None, &raised).await.unwrap(), Changed::Done);
    assert_eq!(batch.row().await.name, "fix", "what was not given stays");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(9).await.let_go, 3);
}

#[tokio::test]
async fn failures_that_run_again_may_fail_again() {
    let database = drydock_testing::database().await;
    let settings = BatchSettings { max_failure_rate: Some(0.5), ..BatchSettings::default() };
    let batch = Batch::new(&database, 5, settings).await;
    batch.fill(5).await;
    batch.step(3).await;
    assert_eq!(batch.run(Outcome::Failed).await, 3);
    assert_eq!(batch.step(3).await.paused, Some(PauseReason::FailureRate));
    let now = schedule::now(batch.client()).await.unwrap();
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch::retry_failed(batch.client(), T, batch.id, now, 9).await.unwrap(), Ok(3));
    batch.step(3).await;
    assert_eq!(batch.run(Outcome::Failed).await, 3);
    assert_eq!(batch.step(3).await.paused, Some(PauseReason::FailureRate), "they are no failures of before");
}
