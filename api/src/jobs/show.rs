//! `GET /jobs/{id}`: one job, with the reason while it waits; `?wait=` holds the answer until it is final.

use axum::{Json, extract::State};
use drydock_database::{
    Client,
    job::{self, JobRow, Waiting},
};
use drydock_domain::JobState;

use super::{JobView, until_final};
use crate::{
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
    validate::rules,
};

/// Show a job
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = uuid::Uuid, Path), ("wait" = Option<String>, Query, description = "Hold the answer until the job is final, at most so long, like `30s`")),
    responses((status = 200, body = JobView), (status = 404))
)]
pub(crate) async fn show_job(State(app): State<Shared>, ids: Ids, query: Query) -> Result<Json<JobView>, ApiError> {
    let id = ids.job()?;
    let mut fields = query.fields();
    let wait = fields.optional("wait", rules::wait(app.config.wait_limit));
    let wait = fields.finish(|| Some(wait.unwrap_or_default()))?;
    until_final(&app, id, wait).await?;
    let client = app.client().await?;
    let row = job::find(&client, app.tenant(), id).await?.ok_or(ApiError::NO_JOB)?;
    let waiting_reason = reason(&client, &row).await?;
    let mut view = JobView::from(row);
    view.waiting_reason = waiting_reason;
    Ok(Json(view))
}

async fn reason(client: &Client, row: &JobRow) -> Result<Option<String>, ApiError> {
    match row.state {
        JobState::Pending => Ok(Some("for the jobs of its project before it".to_owned())),
        JobState::Dispatched => Ok(Some("for a worker to take it".to_owned())),
        JobState::Scheduled | JobState::Queued => Ok(job::waiting(client, row.id).await?.map(|waiting| why(&waiting))),
        _ => Ok(None),
    }
}

/// The first thing that is missing, counted among the live workers of its pool.
fn why(waiting: &Waiting) -> String {
    let Waiting { pool, agent, min_isolation, due, workers, with_agent, with_isolation, suited } = waiting;
    let agent = agent.as_deref().unwrap_or_default();
    match (due, *workers, *with_agent, *with_isolation, *suited) {
        (Some(due), ..) => format!("until {}", due.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
        (_, 0, ..) => format!("for a worker in pool '{pool}': there is none"),
        (_, _, 0, ..) => format!("for a worker in pool '{pool}' that offers agent '{agent}': none of {workers} does"),
        (_, _, _, 0, _) => {
            format!(
                "for a worker in pool '{pool}' with isolation '{min_isolation}' or better: none of {workers} has it"
            )
        }
        (.., 0) => {
            format!("for a worker in pool '{pool}' with both agent '{agent}' and isolation '{min_isolation}' or better")
        }
        _ => "for a free slot".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_missing_is_named() {
        let waiting = |workers, with_agent, with_isolation, suited| Waiting {
            pool: "p".to_owned(),
            agent: Some("a".to_owned()),
            min_isolation: "vm".to_owned(),
            due: None,
            workers,
            with_agent,
            with_isolation,
            suited,
        };
        let cases = [
            (waiting(0, 0, 0, 0), "pool 'p': there is none"),
            (waiting(2, 0, 0, 0), "agent 'a': none of 2 does"),
            (waiting(2, 1, 0, 0), "isolation 'vm' or better: none of 2"),
            (waiting(2, 1, 1, 0), "both agent 'a' and isolation 'vm'"),
            (waiting(2, 2, 1, 1), "for a free slot"),
        ];
        for (facts, words) in cases {
            assert!(why(&facts).contains(words), "{facts:?}: {}", why(&facts));
        }
        let due = Some("2030-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(why(&Waiting { due, ..waiting(0, 0, 0, 0) }), "until 2030-01-01T00:00:00.000Z");
    }
}
