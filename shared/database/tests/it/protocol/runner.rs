//! Makes steps one after the other, compares after each, and shortens a list that fails.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use drydock_database::Client;
use drydock_domain::{JobState, transition::TRANSITIONS};
use drydock_testing::violations;

use super::{
    check::{Rows, Span, differences},
    driver,
    model::{When, World},
    op::{Kind, Label, Op, id},
};

/// Emptying by rows: for a few of them a TRUNCATE of so many tables and indexes takes ten times as long.
const EMPTY: &str = "DELETE FROM firing; DELETE FROM schedule; DELETE FROM job_dependency; DELETE FROM idempotency; DELETE FROM log_chunk;
  DELETE FROM event; DELETE FROM version; DELETE FROM pack; DELETE FROM attempt; DELETE FROM job; DELETE FROM worker;
  DELETE FROM leader; DELETE FROM project; DELETE FROM tenant";

/// The database and the model, side by side.
pub(crate) struct Runner<'a> {
    pub(crate) client: &'a Client,
    pub(crate) world: World,
    last_event: i64,
}

impl<'a> Runner<'a> {
    /// Starts from an empty database.
    pub(crate) async fn new(client: &'a Client) -> Self {
        client.batch_execute(EMPTY).await.unwrap();
        Self { client, world: World::default(), last_event: 0 }
    }

    /// One step; the error says how the database differs from the model.
    pub(crate) async fn step(&mut self, op: &Op) -> Result<(), String> {
        let from = Utc::now().trunc_subsecs(6);
        if self.world.skips(op, from) {
            return Ok(());
        }
        let answer = driver::make(self.client, &self.world, op, from).await.map_err(|error| chain(&error))?;
        let to = Utc::now();
        let before: BTreeMap<Label, JobState> =
            self.world.jobs.iter().map(|(label, job)| (*label, job.state)).collect();
        self.world.apply(op, &answer, from)?;
        self.compare(Span { from, to }).await?;
        self.judge(&before)?;
        self.stretch(to).await
    }

    /// Each move of this step, as the rows have it, stands in the table of transitions.
    fn judge(&self, before: &BTreeMap<Label, JobState>) -> Result<(), String> {
        for (label, job) in &self.world.jobs {
            let known = match before.get(label) {
                None => TRANSITIONS.iter().any(|way| way.from.is_empty() && way.to == job.state),
                Some(from) if *from == job.state => true,
                // A lane is joined and, where there is a place, headed in one call.
                Some(from) => {
                    let joined = JobState::Pending.may_follow(*from) && job.state.may_follow(JobState::Pending);
                    job.state.may_follow(*from) || (job.state == JobState::Queued && joined)
                }
            };
            if !known {
                return Err(format!("job {label}: no transition leads from {:?} to {}", before.get(label), job.state));
            }
        }
        Ok(())
    }

    pub(crate) async fn compare(&mut self, span: Span) -> Result<(), String> {
        let rows = Rows::read(self.client, self.last_event).await.map_err(|error| chain(&error))?;
        let mut found = differences(&mut self.world, &rows, span);
        self.last_event = rows.last_event().unwrap_or(self.last_event);
        found.extend(violations(self.client).await);
        if found.is_empty() { Ok(()) } else { Err(found.join("\n  ")) }
    }

    /// A back-off of seconds would end in the middle of the test: make it an hour, once it was seen to be right.
    async fn stretch(&mut self, now: DateTime<Utc>) -> Result<(), String> {
        let soon = now + chrono::Duration::minutes(30);
        for (label, job) in &mut self.world.jobs {
            let When::At(run_at) = job.run_at else { continue };
            if job.backing_off && run_at > now && run_at < soon {
                let later = run_at + chrono::Duration::hours(1);
                let sql = "UPDATE job SET run_at = $2 WHERE id = $1";
                let changed = self.client.execute(sql, &[&id(Kind::Job, *label), &later]).await;
                changed.map_err(|error| chain(&error))?;
                job.run_at = When::At(later);
            }
        }
        Ok(())
    }
}

/// Runs the list; the error names the step and what went wrong.
pub(crate) async fn run(client: &Client, ops: &[Op]) -> Result<(), (usize, String)> {
    let mut runner = Runner::new(client).await;
    for (place, op) in ops.iter().enumerate() {
        runner.step(op).await.map_err(|error| (place, error))?;
    }
    Ok(())
}

/// A shorter list that fails too, by leaving out ever smaller parts (Zeller's ddmin), within a number of tries.
pub(crate) async fn shrink(client: &Client, mut ops: Vec<Op>, mut tries: usize) -> Vec<Op> {
    let mut size = ops.len() / 2;
    while size > 0 && tries > 0 {
        let mut start = 0;
        while start < ops.len() && tries > 0 {
            let mut fewer = ops.clone();
            fewer.drain(start..(start + size).min(ops.len()));
            tries -= 1;
            match run(client, &fewer).await {
                Err((place, _)) => {
                    fewer.truncate(place + 1);
                    ops = fewer;
                }
                Ok(()) => start += size,
            }
        }
        size /= 2;
    }
    fewer_asked(client, ops).await
}

/// The same for the jobs of its acceptances.
async fn fewer_asked(client: &Client, mut ops: Vec<Op>) -> Vec<Op> {
    for step in 0..ops.len() {
        let mut place = 0;
        while let Op::Accept { jobs, .. } = &ops[step]
            && place < jobs.len()
        {
            let mut fewer = ops.clone();
            let Op::Accept { jobs, .. } = &mut fewer[step] else { unreachable!("it is one of these") };
            jobs.remove(place);
            match run(client, &fewer).await {
                Err((last, _)) if last + 1 == fewer.len() => ops = fewer,
                _ => place += 1,
            }
        }
    }
    ops
}

/// A failure as a test prints it: what differs, and the shortest list found that shows it.
pub(crate) async fn explain(client: &Client, ops: &[Op], failure: (usize, String)) -> String {
    let (place, first) = failure;
    let shorter = shrink(client, ops[..=place].to_vec(), 150).await;
    let last = run(client, &shorter).await.map_or_else(|(_, error)| error, |()| "(it passed the last time)".to_owned());
    let list: Vec<String> = shorter.iter().map(|op| format!("    {op:?},")).collect();
    format!(
        "step {place}: {first}\nshortened to {} steps:\n{}\nwhich ends with:\n  {last}",
        shorter.len(),
        list.join("\n")
    )
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
