//! Trees are brought ahead of their jobs: while a pool is full, workers are told to fetch what the jobs next in line start from.

use std::{collections::HashMap, time::Duration};

use drydock_database::{DatabaseError, job};
use drydock_domain::{Digest, TenantId};
use drydock_queue::Publisher;
use drydock_runtime::{
    Shutdown,
    exit::chain,
    periodic::{self, Next, Schedule},
};
use tokio::{sync::Mutex, time::Instant};

use crate::context::Context;

/// Jobs looked at of each group that waits.
const EACH: i32 = 4;
/// Trees told to the workers of one pool at a time.
const MOST: i32 = 16;
/// How long a tree that somebody was told to fetch is not asked for again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The loop, with a connection made when there is first something to tell.
pub(crate) struct Ahead {
    context: Context,
    state: Mutex<State>,
}

struct State {
    publisher: Publisher,
    /// When whose tree was asked for.
    asked: HashMap<(TenantId, Digest), Instant>,
}

impl Ahead {
    pub(crate) fn new(context: Context) -> Self {
        let publisher = Publisher::new(context.broker.clone());
        Self { context, state: Mutex::new(State { publisher, asked: HashMap::new() }) }
    }

    pub(crate) async fn run(self, schedule: Schedule, shutdown: Shutdown) {
        periodic::run(schedule, shutdown, || self.run_once()).await;
        self.state.lock().await.publisher.disconnect().await;
    }

    async fn run_once(&self) -> Result<Next, DatabaseError> {
        // Without offers nothing would bring a job to its tree.
        let Some(lead) = self.context.lead().filter(|_| !self.context.config.locality_wait.is_zero()) else {
            return Ok(Next::Wait);
        };
        let mut next = job::next_in_line(&self.context.database.client().await?, lead.term, EACH, MOST).await?;
        let mut state = self.state.lock().await;
        let now = Instant::now();
        state.asked.retain(|_, at| now - *at < PATIENCE);
        next.retain(|ahead| !state.asked.contains_key(&(ahead.tenant, ahead.tree)));
        if next.is_empty() {
            return Ok(Next::Wait);
        }
        match state.publisher.fetch_ahead(&next).await {
            Ok(()) => {
                self.context.metrics.locality.fetched_ahead.inc_by(next.len() as u64);
                state.asked.extend(next.iter().map(|ahead| ((ahead.tenant, ahead.tree), now)));
            }
            Err(error) => tracing::debug!("failed to have trees fetched ahead: {}", chain(&error)),
        }
        Ok(Next::Wait)
    }
}
