//! `GET /usage/tenants`: what all tenants used, for operators.

use axum::{Json, extract::State};
use chrono::NaiveDate;
use drydock_database::{page::Page, usage};

use super::{period, views::UsageList};
use crate::{error::ApiError, extract::Query, state::Shared};

/// Parameters of all tenants' usage, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
struct TenantsUsageQuery {
    /// The first UTC day; 29 days before `until` by default, 365 at most.
    since: Option<NaiveDate>,
    /// The last UTC day, included; today by default.
    until: Option<NaiveDate>,
    /// 1 to 500, 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Read the usage of all tenants
///
/// As `GET /usage`, a row a tenant, most slot time first.
#[utoipa::path(
    get, path = "/api/v1/usage/tenants", tag = "usage", params(TenantsUsageQuery),
    responses((status = 200, body = UsageList), (status = 422))
)]
pub(crate) async fn read_tenants_usage(State(app): State<Shared>, query: Query) -> Result<Json<UsageList>, ApiError> {
    let mut fields = query.fields();
    let days = period::days(&mut fields);
    let part = period::part(&mut fields);
    fields.finish(|| Some(()))?;
    let Page { items, next } = usage::by_tenant(&app.unscoped().await?, days, part.after, part.limit).await?;
    Ok(Json(UsageList::new(days, items, next)))
}
