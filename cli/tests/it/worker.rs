//! A worker's side of the protocol, with the real calls.

use std::time::Duration;

use drydock_database::{
    Client, job, log_chunk,
    report::Report,
    worker::{self, NewWorker},
};
use drydock_domain::{AttemptId, Isolation, JobId, Outcome, Ticket, WorkerId};

use crate::harness::Api;

/// A registered worker that does what the test tells it.
pub(crate) struct Worker {
    id: WorkerId,
    client: Client,
}

impl Worker {
    pub(crate) async fn start(api: &Api) -> Self {
        let client = api.database.client().await.unwrap();
        let id = WorkerId::generate();
        let new = NewWorker {
            id,
            instance: format!("test-{id}"),
            pool: "default".to_owned(),
            slots: 4,
            session_slots: 1,
            agents: vec!["dummy".to_owned(), "session/preview".to_owned()],
            labels: serde_json::json!({}),
            isolation: Isolation::None,
            rung: "copy".to_owned(),
            refused_rungs: serde_json::json!({}),
            build: drydock_runtime::build_info::VERSION.to_owned(),
        };
        worker::start(&client, &new, Duration::from_secs(600)).await.unwrap();
        Self { id, client }
    }

    pub(crate) fn id(&self) -> WorkerId {
        self.id
    }

    /// Claims the job as a dispatched ticket would let it.
    pub(crate) async fn claim(&self, job: &str) -> AttemptId {
        let job: JobId = job.parse().unwrap();
        let dispatch = "UPDATE job SET state = 'dispatched', backing_off = false, dispatch_seq = dispatch_seq + 1, dispatched_at = now()
                         WHERE id = $1 RETURNING dispatch_seq";
        let seq: i32 = self.client.query_one(dispatch, &[&job.uuid()]).await.unwrap().get(0);
        let attempt = AttemptId::generate();
        let ticket = Ticket::new(job, seq, "default".to_owned(), 0);
        let claimed = job::claim(&self.client, &ticket, attempt, self.id, "/scratch/x").await.unwrap();
        assert!(matches!(claimed, job::Claimed::Mine(_)), "{claimed:?}");
        attempt
    }

    /// Appends a chunk to the attempt's log.
    pub(crate) async fn log(&self, attempt: AttemptId, seq: i32, offset: i64, text: &str) {
        log_chunk::append(&self.client, attempt, seq, offset, log_chunk::Body::Inline(text.as_bytes())).await.unwrap();
    }

    pub(crate) async fn finish(&self, job: &str, attempt: AttemptId, outcome: Outcome, report: &Report) {
        let finish = job::Finish::new(job.parse().unwrap(), attempt, outcome, report.clone());
        let done = job::finish(&self.client, &finish).await.unwrap();
        assert_eq!(done, job::Finished::Ok);
    }

    /// One attempt from claim to finish.
    pub(crate) async fn end(&self, job: &str, outcome: Outcome) {
        let attempt = self.claim(job).await;
        self.finish(job, attempt, outcome, &Report::default()).await;
    }
}
