//! Clients that do other things than submit: one cancels, one moves heads as a user's edit does.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Method, StatusCode};
use tokio::{sync::watch, time::sleep};

use super::{Counts, api::Api};
use crate::chaos::sql;

/// Between two deeds of the meddler.
const PAUSE: std::ops::Range<u64> = 300..1200;
/// One in so many times it cancels, and one in so many it edits: most jobs should get to their end.
const DEEDS: std::ops::Range<u32> = 0..4;

/// A version beside the jobs: the same tree again, by a user, on a project where a writer is at work.
const EDIT: &str = "
  WITH busy AS (
    SELECT j.project_id FROM job j WHERE j.state = 'running' AND NOT j.read_only AND j.job_type = 'command'
     ORDER BY random() LIMIT 1),
  p AS (SELECT id, head_version FROM project WHERE id = (SELECT project_id FROM busy) FOR NO KEY UPDATE),
  made AS (
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id)
    SELECT p.id, h.number + 1, h.number, h.tree_id, h.manifest_id, h.delta, h.pack_ids, h.file_count, h.total_bytes, 'user', gen_random_uuid()
      FROM p JOIN version h ON h.project_id = p.id AND h.number = p.head_version
    RETURNING project_id, number)
  UPDATE project SET head_version = made.number FROM made WHERE project.id = made.project_id";

/// Meddles until `over`. Where this API cannot cancel yet, `can_cancel` becomes false.
///
/// # Errors
/// None; failing is what meddling is about.
pub(crate) async fn meddle(
    api: Api,
    database: String,
    seed: u64,
    can_cancel: &AtomicBool,
    over: watch::Receiver<bool>,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(!seed);
    while !*over.borrow() {
        match rng.random_range(DEEDS) {
            0 if can_cancel.load(Ordering::Relaxed) => cancel(&api, rng.random_range(0..8), can_cancel).await,
            1 if edit(&database).await.is_ok_and(|moved| moved > 0) => Counts::add(&api.ledger().counts.edits),
            _ => {}
        }
        sleep(Duration::from_millis(rng.random_range(PAUSE))).await;
    }
    Ok(())
}

async fn cancel(api: &Api, back: usize, can_cancel: &AtomicBool) {
    let Some(job) = api.ledger().recent(back) else { return };
    let Ok(answer) = api.once(&Method::POST, &format!("/jobs/{job}/cancel"), None, None).await else { return };
    match answer.status() {
        // The job exists, so it is the route that does not.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => can_cancel.store(false, Ordering::Relaxed),
        status if status.is_success() => {
            Counts::add(&api.ledger().counts.cancels);
            // 200 says that it is over, which its body shows; 202 that it will be cancelled.
            if status == StatusCode::ACCEPTED {
                api.ledger().canceled_soon(job);
            }
            if let Ok(body) = answer.json().await {
                api.note(job, &body);
            }
        }
        _ => {}
    }
}

async fn edit(database: &str) -> Result<u64> {
    Ok(sql::connect(database).await?.execute(EDIT, &[]).await?)
}
