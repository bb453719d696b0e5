//! A schedule as people read it.
use drydock_client::views::Schedule;

use crate::output::{Table, time};

pub(super) fn describe(schedule: &Schedule) -> String {
    let mut table = Table::new(&["schedule", &schedule.id]).whole();
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("project", schedule.project_id.clone());
    field("name", schedule.name.clone());
    field("cron", format!("{} ({})", schedule.cron, schedule.time_zone));
    field("missed", schedule.missed.clone());
    field("job", schedule.job["title"].as_str().unwrap_or_default().to_owned());
    if let (Some(at), Some(job)) = (schedule.last_at, &schedule.last_job_id) {
        field("last", format!("{} made job {job}", time(at)));
    }
    if schedule.paused {
        field("next", "paused".to_owned());
    }
    for at in &schedule.next {
        field("next", time(*at));
    }
    table.render()
}
