//! `GET /usage`: what the caller's tenant used, by day, project or batch.

use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use drydock_database::{
    Client, batch,
    page::{Cursor, Page},
    tenant,
    usage::{self, Days},
};
use drydock_domain::TenantId;
use uuid::Uuid;

use super::{period, views::UsageList};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Paging, Query},
    state::Shared,
    validate::{Fields, rules},
};

/// By what usage is told apart.
enum By {
    Day,
    Project,
    Batch,
}

impl std::str::FromStr for By {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "day" => Ok(Self::Day),
            "project" => Ok(Self::Project),
            "batch" => Ok(Self::Batch),
            _ => Err(()),
        }
    }
}

/// Parameters of usage, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
pub(super) struct UsageQuery {
    /// The first UTC day; 29 days before `until` by default, 365 at most.
    since: Option<NaiveDate>,
    /// The last UTC day, included; today by default.
    until: Option<NaiveDate>,
    /// `day` (the default; newest first), `project` (most slot time first) or `batch` (those made on these days, newest first).
    by: Option<String>,
    /// 1 to 500, 50 by default; not by day.
    limit: Option<u16>,
    /// The `next_cursor` of the page before; not by day.
    cursor: Option<String>,
}

/// Read the usage of the tenant
///
/// Jobs that ended, the slot time and the tokens of their attempts, and the bytes they wrote, on the UTC day on which each job ended. Jobs are counted some
/// seconds after their end; what still runs is not in it. By batch: all of what the batch has used so far. Kept when projects are deleted.
/// `now` is what is stored at this moment, whenever it came, beside the quota.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses((status = 200, body = UsageList), (status = 422))
)]
pub(crate) async fn read_usage(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<UsageList>, ApiError> {
    let mut fields = query.fields();
    let days = period::days(&mut fields);
    let by = fields.optional("by", rules::one_of("'day', 'project' or 'batch'")).unwrap_or(By::Day);
    let answer = match by {
        By::Day => {
            fields.finish(|| Some(()))?;
            UsageList::new(
                days,
                usage::by_day(&app.client(caller.tenant).await?, caller.tenant, days).await?,
                None::<String>,
            )
        }
        By::Project => {
            let part = period::part(&mut fields);
            fields.finish(|| Some(()))?;
            let client = app.client(caller.tenant).await?;
            let Page { items, next } = usage::by_project(&client, caller.tenant, days, part.after, part.limit).await?;
            UsageList::new(days, items, next)
        }
        By::Batch => {
            by_batch(&mut fields, days).finish(fields, &app.client(caller.tenant).await?, caller.tenant).await?
        }
    };
    let now = tenant::find(&app.client(caller.tenant).await?, caller.tenant).await?;
    Ok(Json(answer.with(now)))
}

/// A page of batches made on some days.
struct Batches {
    days: Days,
    paging: Paging,
}

fn by_batch(fields: &mut Fields, days: Days) -> Batches {
    Batches { days, paging: Paging::take(fields) }
}

impl Batches {
    async fn finish(self, fields: Fields, client: &Client, tenant: TenantId) -> Result<UsageList, ApiError> {
        fields.finish(|| Some(()))?;
        let Self { days, paging } = self;
        let start = |day: NaiveDate| -> DateTime<Utc> { day.and_time(NaiveTime::MIN).and_utc() };
        let end = days.last.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, start);
        // Batches come newest first: from the end of the last day on, until one is older than the first.
        let after = if paging.after.at < end { paging.after } else { Cursor { at: end, id: Uuid::nil() } };
        let Page { mut items, next } = batch::list(client, tenant, after, paging.limit).await?;
        let found = items.len();
        items.retain(|row| row.created_at >= start(days.first));
        let next = next.filter(|_| items.len() == found);
        Ok(UsageList::new(days, items, next))
    }
}
