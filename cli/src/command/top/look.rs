//! What `top` sees, and how it is told.

use chrono::Utc;
use drydock_client::{
    Client, ClientError, Document,
    views::{Batch, Job, List, Worker},
};
use serde_json::{Value, json};

use super::super::batch;
use crate::output::{Table, seconds};

/// Jobs and batches of one look; what is beyond is counted as "more".
const PAGE: usize = 500;
/// Lines of each list.
const SHOWN: usize = 15;

/// The fleet at one moment, asked for in four calls.
pub(super) struct View {
    workers: Option<Vec<Worker>>,
    running: List<Job>,
    queued: List<Job>,
    batches: List<Batch>,
}

impl View {
    pub(super) async fn take(client: &Client, pool: Option<&str>) -> Result<Self, ClientError> {
        let workers = match client.get(["workers"]).query_opt("pool", pool).document::<List<Worker>>().await {
            Ok(workers) => Some(workers.value.items),
            // The fleet is an operator's; everybody may look at their jobs.
            Err(ClientError::Refused(refusal)) if refusal.status.as_u16() == 403 => None,
            Err(error) => return Err(error),
        };
        let jobs = async |status: &str| {
            let call = client.get(["jobs"]).query("status", status).query("limit", PAGE);
            call.document::<List<Job>>().await.map(|page| page.value)
        };
        let (running, queued) = (jobs("in_progress").await?, jobs("queued").await?);
        let batches: Document<List<Batch>> = client.get(["batches"]).query("limit", PAGE).document().await?;
        Ok(Self { workers, running, queued, batches: batches.value })
    }

    fn open_batches(&self) -> impl Iterator<Item = &Batch> {
        self.batches.items.iter().filter(|batch| !batch::is_over(batch))
    }

    pub(super) fn document(&self) -> Value {
        let slots = self.workers.as_ref().map(slots);
        json!({
            "workers": slots.map(|s| json!({"live": s.live, "draining": s.draining, "drained": s.drained, "lost": s.lost, "slots": s.slots, "busy": s.busy})),
            "jobs": {"in_progress": self.running.items.len(), "queued": self.queued.items.len(),
                     "more": self.running.next_cursor.is_some() || self.queued.next_cursor.is_some()},
            "running": self.running.items.iter().map(|job| &job.id).collect::<Vec<_>>(),
            "batches": self.open_batches().map(|batch| &batch.id).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = match &self.workers {
            Some(workers) => fleet(workers),
            None => "workers   not shown: this key may not see the fleet\n".to_owned(),
        };
        let count = |list: &List<Job>| {
            format!("{}{}", list.items.len(), if list.next_cursor.is_some() { " or more" } else { "" })
        };
        text += &format!("jobs      {} running, {} queued\n", count(&self.running), count(&self.queued));
        text += &self.jobs();
        text + &self.batches()
    }

    fn jobs(&self) -> String {
        let mut table = Table::new(&["JOB", "STATE", "FOR", "PROJECT", "TITLE"]);
        for job in self.running.items.iter().take(SHOWN) {
            let since = job.started_at.map(|at| (Utc::now() - at).to_std().unwrap_or_default());
            let state = job.status_detail.clone().unwrap_or_else(|| job.status.clone());
            let time = since.map(|time| seconds(time.as_secs_f64().floor())).unwrap_or_default();
            table.row([job.id.clone(), state, time, job.project_id.clone(), job.title.clone()]);
        }
        section(&table, self.running.items.len())
    }

    fn batches(&self) -> String {
        let mut table = Table::new(&["BATCH", "NAME", "STATE", "JOBS"]);
        for batch in self.open_batches().take(SHOWN) {
            let state = batch.status_detail.clone();
            table.row([batch.id.clone(), batch.name.clone(), state, batch::progress(batch)]);
        }
        section(&table, self.open_batches().count())
    }
}

fn section(table: &Table, count: usize) -> String {
    let more = count.saturating_sub(SHOWN);
    match count {
        0 => String::new(),
        _ if more > 0 => format!("\n{}… and {more} more\n", table.render()),
        _ => format!("\n{}", table.render()),
    }
}

#[derive(Default)]
struct Slots {
    live: usize,
    draining: usize,
    drained: usize,
    lost: usize,
    slots: u32,
    busy: u32,
}

fn slots<'w>(workers: impl IntoIterator<Item = &'w Worker>) -> Slots {
    let mut sum = Slots::default();
    for worker in workers {
        match worker.state.as_str() {
            "live" => sum.live += 1,
            "draining" => sum.draining += 1,
            "drained" => sum.drained += 1,
            _ => sum.lost += 1,
        }
        if worker.state != "lost" {
            sum.busy += worker.busy;
        }
        if worker.state == "live" {
            sum.slots += worker.slots;
        }
    }
    sum
}

/// A line for the fleet, and one for each pool where there are several.
fn fleet(workers: &[Worker]) -> String {
    let line = |name: &str, Slots { live, draining, drained, lost, slots, busy }: Slots| {
        format!(
            "{name:9} {busy} of {slots} slots in use; {live} live, {draining} draining, {drained} drained, {lost} lost\n"
        )
    };
    let pools: std::collections::BTreeSet<&str> = workers.iter().map(|worker| worker.pool.as_str()).collect();
    let mut text = line("workers", slots(workers));
    for pool in pools.iter().filter(|_| pools.len() > 1) {
        text += &line(&format!("  {pool}"), slots(workers.iter().filter(|worker| worker.pool == **pool)));
    }
    text
}
