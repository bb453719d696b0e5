//! Schedules whose time has come make their jobs. Two leaders fire one time once: the row's next time is compared and swapped
//! in the transaction that accepts the job.

use drydock_database::{
    Client, DatabaseError,
    schedule::{self, Due, Fired},
    wake::Channel,
};
use drydock_domain::schedule::Schedule;
use drydock_runtime::{exit::chain, periodic::Next};

use crate::context::Context;

const BATCH: i64 = 100;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    if context.lead().is_none() {
        return Ok(Next::Wait);
    }
    let client = context.database.client().await?;
    let due = schedule::due(&client, BATCH).await?;
    let mut moved = 0;
    for due in &due {
        // One that cannot be fired must not keep the others waiting.
        match fire(&client, due).await {
            Ok(fired) => {
                moved += 1;
                context.metrics.fired.with_label_values(&[word(fired)]).inc();
                tracing::info!(schedule = %due.id, due = %due.due_at, ?fired, "a schedule's time has come");
            }
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => {
                context.metrics.fired.with_label_values(&["error"]).inc();
                tracing::error!(schedule = %due.id, "cannot fire a schedule: {}", chain(&error));
            }
        }
    }
    if moved > 0 {
        context.wakes.tickets.notify_one();
        context.waker.wake(Channel::Events);
    }
    Ok(if moved >= BATCH { Next::Again } else { Next::Wait })
}

async fn fire(client: &Client, due: &Due) -> Result<Fired, DatabaseError> {
    // Checked when it was made; a time zone may have left the database of zones since.
    let schedule = Schedule::parse(&due.cron, &due.time_zone)
        .map_err(|error| DatabaseError::Row { operation: "fire a schedule", reason: error.to_string() })?;
    let turn = schedule.turn(due.due_at, due.now, due.missed);
    schedule::fire(client, due, turn.next, turn.fires).await
}

const fn word(fired: Fired) -> &'static str {
    match fired {
        Fired::Job(_) => "job",
        Fired::Skipped => "skipped",
        Fired::MovedOn => "moved_on",
        Fired::NoProject => "no_project",
        Fired::OverQuota => "over_quota",
    }
}
