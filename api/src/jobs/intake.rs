//! Group commit: submissions that arrive while others are being written go together in one transaction. Nobody waits when
//! nothing is in flight, everybody gets an answer of their own, and what spoils a batch spoils only the job it belongs to.

use std::{collections::BTreeMap, time::Duration};

use drydock_database::{
    Client, Database, DatabaseError,
    job::{self, Accepted, JobRow, NewJob},
    wake::Waker,
};
use drydock_domain::TenantId;
use drydock_runtime::group::{Bounds, Group};
use futures_util::{StreamExt as _, stream};
use prometheus::IntGauge;
use tokio::sync::oneshot;

use crate::{error::ApiError, metrics::ApiMetrics};

/// A transaction's locks are held no longer than some ten milliseconds. The weight is bytes of request bodies.
const BOUNDS: Bounds =
    Bounds { most: 128, heaviest: 4 << 20, at_once: 2, queue: 4096, rest: Duration::ZERO, crowd: usize::MAX };
/// After a batch failed, its jobs are tried so many at a time.
const AGAIN_AT_ONCE: usize = 4;
/// And each so often, as long as the database goes away in the middle of it; after a timeout nothing is tried again.
const TRIES: usize = 3;

/// What became of a submission; with the new job as a read would show it.
pub(crate) type Answer = Result<(Accepted, Option<JobRow>), ApiError>;

/// Takes submissions.
#[derive(Debug)]
pub(crate) struct Intake {
    door: Group<Asked>,
    waiting: IntGauge,
}

#[derive(Debug)]
struct Asked {
    tenant: TenantId,
    job: NewJob,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

#[derive(Clone)]
struct Writer {
    database: Database,
    waker: Waker,
    metrics: ApiMetrics,
}

impl Intake {
    /// Starts the task that writes; it ends with this value.
    pub(crate) fn start(database: &Database, waker: &Waker, metrics: &ApiMetrics) -> Self {
        let writer = Writer { database: database.clone(), waker: waker.clone(), metrics: metrics.clone() };
        let waiting = metrics.accept_waiting.clone();
        let write = move |group: Vec<Asked>| {
            writer.metrics.accept_waiting.sub(i64::try_from(group.len()).unwrap_or(0));
            write(writer.clone(), group)
        };
        Self { door: Group::start("intake", BOUNDS, |asked| asked.bytes, write), waiting }
    }

    /// Accepts `job`, whose request had `bytes`. An answer of `New` is durable.
    pub(crate) async fn accept(&self, tenant: TenantId, job: NewJob, bytes: usize) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || ApiError::Unavailable { detail: "The server is stopping", cause: None };
        self.door.send(Asked { tenant, job, bytes, answer }).await.map_err(|_| gone())?;
        self.waiting.inc();
        answered.await.map_err(|_| gone())?
    }
}

async fn write(writer: Writer, batch: Vec<Asked>) {
    let mut tenants: BTreeMap<TenantId, Vec<Asked>> = BTreeMap::new();
    for asked in batch {
        tenants.entry(asked.tenant).or_default().push(asked);
    }
    for (tenant, batch) in tenants {
        writer.accept(tenant, batch).await;
    }
}

impl Writer {
    async fn accept(&self, tenant: TenantId, batch: Vec<Asked>) {
        let (jobs, callers): (Vec<NewJob>, Vec<_>) = batch.into_iter().map(|asked| (asked.job, asked.answer)).unzip();
        self.metrics.accept_batch_jobs.observe(f64::from(u32::try_from(jobs.len()).unwrap_or(u32::MAX)));
        let client = match self.database.client_of(tenant).await {
            Ok(client) => client,
            Err(error) => {
                // Nothing was asked of the database yet.
                let error = ApiError::from(error);
                return callers.into_iter().for_each(|caller| tell(caller, Err(error.again())));
            }
        };
        match job::accept_and_show(&client, tenant, &jobs).await {
            Ok(answers) => {
                if answers.iter().any(|(accepted, _)| matches!(accepted, Accepted::New(_))) {
                    self.waker.wake_all();
                }
                callers.into_iter().zip(answers).for_each(|(caller, answer)| tell(caller, Ok(answer)));
            }
            Err(error) => {
                drop(client);
                self.each_again(tenant, jobs, callers, error).await;
            }
        }
    }

    /// After a failure nobody knows whether the batch was committed, or which job spoilt it. Each job has its id already, so it can
    /// be asked for again on its own: if it is there, it was accepted.
    async fn each_again(
        &self,
        tenant: TenantId,
        jobs: Vec<NewJob>,
        callers: Vec<oneshot::Sender<Answer>>,
        error: DatabaseError,
    ) {
        tracing::debug!(jobs = jobs.len(), "failed to accept a batch: {}", drydock_runtime::exit::chain(&error));
        // What took too long for one takes too long again; of several, one is to blame.
        if jobs.len() == 1 && (!error.is_unavailable() || error.is_timeout()) {
            let error = ApiError::from(error);
            return callers.into_iter().for_each(|caller| tell(caller, Err(error.again())));
        }
        let each = jobs.into_iter().zip(callers).map(async |(job, caller)| {
            let answer = self.again(tenant, &job).await;
            let outcome = match &answer {
                Ok((Accepted::New(_), _)) => "accepted",
                Ok(_) => "refused",
                Err(_) => "failed",
            };
            self.metrics.accept_again.with_label_values(&[outcome]).inc();
            tell(caller, answer);
        });
        stream::iter(each).buffer_unordered(AGAIN_AT_ONCE).collect::<()>().await;
        self.waker.wake_all();
    }

    async fn again(&self, tenant: TenantId, job: &NewJob) -> Answer {
        for _ in 1..TRIES {
            match self.once_more(tenant, job).await {
                Err(error) if error.is_unavailable() && !error.is_timeout() => {}
                answer => return Ok(answer?),
            }
        }
        Ok(self.once_more(tenant, job).await?)
    }

    async fn once_more(&self, tenant: TenantId, job: &NewJob) -> Result<(Accepted, Option<JobRow>), DatabaseError> {
        let client = self.database.client_of(tenant).await?;
        let found = match job::accept_and_show(&client, tenant, std::slice::from_ref(job)).await {
            // Its own key, or its own row: what was asked for first had landed.
            Ok(answers) => match answers.into_iter().next() {
                Some((Accepted::Replayed(id), _)) if id == job.id => find(&client, tenant, job).await?,
                Some(answer) => return Ok(answer),
                None => None,
            },
            Err(error) if error.is_duplicate() => find(&client, tenant, job).await?,
            Err(error) => return Err(error),
        };
        let neither = || DatabaseError::Row {
            operation: "accept a job again",
            reason: format!("job {} is neither there nor not", job.id),
        };
        let row = found.ok_or_else(neither)?;
        Ok((Accepted::New(job.id), Some(row)))
    }
}

async fn find(client: &Client, tenant: TenantId, job: &NewJob) -> Result<Option<JobRow>, DatabaseError> {
    job::find(client, tenant, job.id).await
}

/// Who has gone does not want to know any more.
fn tell(caller: oneshot::Sender<Answer>, answer: Answer) {
    let _gone = caller.send(answer);
}
