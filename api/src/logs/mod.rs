//! Logs: the output of an attempt as one stream of bytes, whether it still grows, waits to be sealed or is sealed.

mod follow;
mod reader;
pub(crate) mod search;
mod whole;

use drydock_database::log_read::{self, AttemptLog};
use drydock_domain::{JobId, TenantId};

pub(crate) use self::{follow::*, search::*, whole::*};
use crate::{
    error::ApiError,
    extract::Ids,
    state::App,
    validate::{Fields, rules},
};

/// Finds the log of `?attempt=`, of the newest attempt by default; none where the job has not been tried yet.
async fn find(
    app: &App,
    tenant: TenantId,
    ids: &Ids,
    mut query: Fields,
) -> Result<(JobId, Option<i16>, Option<AttemptLog>), ApiError> {
    let number = attempt(&mut query);
    query.finish(|| Some(()))?;
    of_job(app, tenant, ids, number).await
}

/// Takes `attempt`.
fn attempt(query: &mut Fields) -> Option<i16> {
    query.optional("attempt", rules::number(1, i16::MAX.into()))
}

/// Finds the log of this attempt, of the newest one where none is named.
async fn of_job(
    app: &App,
    tenant: TenantId,
    ids: &Ids,
    number: Option<i16>,
) -> Result<(JobId, Option<i16>, Option<AttemptLog>), ApiError> {
    let (project, job) = (ids.project()?, ids.job()?);
    let client = app.client(tenant).await?;
    if !log_read::job_exists(&client, tenant, project, job).await? {
        return Err(ApiError::NO_JOB);
    }
    match log_read::of_job(&client, job, number).await? {
        None if number.is_some() => Err(ApiError::NO_ATTEMPT),
        log => Ok((job, number, log)),
    }
}
