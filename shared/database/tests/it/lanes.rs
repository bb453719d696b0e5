//! Who may go next: the lead, the free slots, the lane, priority, time.

use std::time::Duration;

use drydock_database::{job, worker};
use drydock_domain::Outcome;

use crate::support::{Fleet, tree};

#[tokio::test]
async fn admission_needs_the_lead_and_stops_at_the_free_slots() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    for _ in 0..6 {
        fleet.another_project(&database).await.plain().await;
    }
    let usurper = job::Term { number: fleet.term.number + 1, ..fleet.term };
    assert!(job::admit(&fleet.client, usurper, 0, 100, &[]).await.unwrap().is_empty());
    assert_eq!(fleet.admit().await.len(), 4, "four slots");
    assert!(fleet.admit().await.is_empty(), "and no more while they are taken");
    assert_eq!(job::admit(&fleet.client, fleet.term, 1, 100, &[]).await.unwrap().len(), 1, "one ahead");
}

#[tokio::test]
async fn at_most_three_jobs_of_a_project_run_together() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let writer = fleet.plain().await;
    for _ in 0..5 {
        fleet.accept(|job| job.read_only = true).await;
    }
    let tickets = fleet.admit().await;
    assert_eq!(tickets.len(), 3);
    assert!(tickets.iter().any(|ticket| ticket.job == writer), "the writer came first");
    assert!(fleet.admit().await.is_empty());
}

#[tokio::test]
async fn what_a_read_only_job_changed_is_not_published() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.accept(|job| job.read_only = true).await;
    let (job, attempt) = fleet.running().await;
    fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(7))).await;
    assert_eq!((fleet.state(job).await, fleet.head().await), ("succeeded".into(), 0));
}

#[tokio::test]
async fn priority_decides_within_a_lane() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let (_, low, high) = (fleet.plain().await, fleet.plain().await, fleet.accept(|job| job.priority = 9).await);
    let (first, attempt) = fleet.running().await;
    fleet.finish(first, attempt, Outcome::Succeeded, None).await;
    assert_eq!((fleet.state(high).await, fleet.state(low).await), ("queued".into(), "pending".into()));
}

#[tokio::test]
async fn scheduled_jobs_wait_outside_the_lane() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let later = fleet.plain().await;
    fleet.client.execute("UPDATE job SET state = 'scheduled', run_at = now() + interval '1 h'", &[]).await.unwrap();
    let now = fleet.plain().await;
    assert_eq!((fleet.state(later).await, fleet.state(now).await), ("scheduled".into(), "queued".into()));
    assert_eq!(job::end_waits(&fleet.client, 10).await.unwrap().due, 0);
    fleet
        .client
        .execute("UPDATE job SET run_at = now() - interval '1 s' WHERE id = $1", &[&later.uuid()])
        .await
        .unwrap();
    assert_eq!(job::end_waits(&fleet.client, 10).await.unwrap().due, 1);
    assert_eq!(fleet.state(later).await, "pending");
}

#[tokio::test]
async fn nobody_is_declared_over_before_lease_and_grace() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    assert_eq!(worker::end_expired(&fleet.client, Duration::ZERO).await.unwrap(), 0);
    fleet.client.execute("UPDATE worker SET lease_until = now() - interval '10 s'", &[]).await.unwrap();
    assert_eq!(worker::end_expired(&fleet.client, Duration::from_secs(15)).await.unwrap(), 0);
    assert_eq!(worker::end_expired(&fleet.client, Duration::from_secs(5)).await.unwrap(), 1);
}
