//! Anything in any order: the counts stay what the jobs are, and every line ends.

use drydock_database::batch::{self, BatchSettings};
use drydock_database::{job, schedule};
use drydock_domain::Outcome;

use super::{Batch, T};
use crate::protocol::random::Random;

const OUTCOMES: [Outcome; 5] =
    [Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed, Outcome::Interrupted, Outcome::Infra];

#[tokio::test]
async fn anything_in_any_order() {
    for seed in [1, 2, 3] {
        let database = drydock_testing::database().await;
        let mut random = Random::new(seed);
        let settings = BatchSettings { canary: Some(2), max_failure_rate: Some(0.6), ..BatchSettings::default() };
        let batch = Batch::new(&database, 7, settings).await;
        let (mut sent, mut running) = (0, Vec::new());
        for _ in 0..150 {
            match random.below(12) {
                0 if sent < 60 => {
                    batch.send(sent + 1..=sent + 6).await;
                    sent += 6;
                }
                1 => drop(batch::pause(batch.client(), T, batch.id).await.unwrap()),
                2 | 3 => drop(batch::resume(batch.client(), T, batch.id).await.unwrap()),
                4 => {
                    let now = schedule::now(batch.client()).await.unwrap();
                    batch::retry_failed(batch.client(), T, batch.id, now, 3).await.unwrap().unwrap();
                }
                5 if sent > 0 => {
                    let one = batch.job(1 + i32::try_from(random.below(60)).unwrap() % sent).await;
                    job::cancel(batch.client(), T, one, None).await.unwrap();
                }
                6 | 7 => {
                    for ticket in batch.fleet.admit().await {
                        let (attempt, _) = batch.fleet.claim(&ticket).await;
                        running.push((ticket.job, attempt));
                    }
                }
                8 | 9 if !running.is_empty() => {
                    let (job, attempt) = running.swap_remove(random.below(running.len()));
                    batch.fleet.finish(job, attempt, random.pick(&OUTCOMES).unwrap(), None).await;
                    batch.fleet.end_back_off(job).await;
                }
                _ => drop(batch.step(1 + i32::try_from(random.below(11)).unwrap()).await),
            }
            batch.check().await;
        }
        for (job, attempt) in running {
            batch.fleet.finish(job, attempt, Outcome::Succeeded, None).await;
        }
        batch::close(batch.client(), T, batch.id).await.unwrap();
        let mut rounds = 0;
        while !batch.step(10).await.finished {
            batch::resume(batch.client(), T, batch.id).await.unwrap();
            batch.client().execute("UPDATE job SET run_at = now() WHERE backing_off", &[]).await.unwrap();
            job::end_waits(batch.client(), 100).await.unwrap();
            batch.run(Outcome::Succeeded).await;
            rounds += 1;
            assert!(rounds < 200, "seed {seed}: it never ends: {:?}", batch.row().await);
        }
        assert_eq!(batch.row().await.counts.total(), sent, "seed {seed}");
    }
}
