//! A project with jobs, a worker, a leader: what transition tests start from.

use std::time::Duration;

use drydock_database::{
    Client, Database,
    job::{self, Accepted, Claimed, Finish, Finished, NewJob, Term},
    leader,
    report::{Report, StoredPack, StoredTree},
    worker::{self, NewWorker},
};
use drydock_domain::{AttemptId, Isolation, JobId, JobType, Outcome, ProjectId, TenantId, Ticket, WorkerId};
use uuid::Uuid;

pub(crate) struct Fleet {
    pub(crate) client: Client,
    pub(crate) project: ProjectId,
    pub(crate) worker: WorkerId,
    pub(crate) term: Term,
}

pub(crate) const TTL: Duration = Duration::from_secs(60);

impl Fleet {
    pub(crate) async fn new(database: &Database) -> Self {
        let client = database.client().await.unwrap();
        let project = create_project(&client).await;
        let worker = WorkerId::generate();
        worker::start(&client, &describe(worker, "one"), TTL).await.unwrap();
        let holder = Uuid::now_v7();
        let number = leader::lead(&client, holder, TTL).await.unwrap().unwrap();
        Self { client, project, worker, term: Term { holder, number } }
    }

    /// The same fleet, with a project of its own.
    pub(crate) async fn another_project(&self, database: &Database) -> Self {
        let (worker, term) = (self.worker, self.term);
        Self { client: database.client().await.unwrap(), project: create_project(&self.client).await, worker, term }
    }

    pub(crate) async fn accept(&self, change: impl FnOnce(&mut NewJob)) -> JobId {
        let mut job = NewJob::new(self.project, JobType::Edit, "t".to_owned(), "do it".to_owned());
        change(&mut job);
        let accepted = job::accept(&self.client, TenantId::DEFAULT, &job).await.unwrap();
        assert_eq!(accepted, Accepted::New(job.id));
        job.id
    }

    pub(crate) async fn plain(&self) -> JobId {
        self.accept(|_| {}).await
    }

    pub(crate) async fn finish(
        &self,
        job: JobId,
        attempt: AttemptId,
        outcome: Outcome,
        tree: Option<&StoredTree>,
    ) -> Finished {
        if let Some(tree) = tree {
            announce(&self.client, job, tree).await;
        }
        let finish = Finish { tree: tree.cloned(), ..Finish::new(job, attempt, outcome, report()) };
        job::finish(&self.client, &finish).await.unwrap()
    }

    /// Lets the back-off of a job end now.
    pub(crate) async fn end_back_off(&self, job: JobId) {
        self.client.execute("UPDATE job SET run_at = now() WHERE id = $1", &[&job.uuid()]).await.unwrap();
        job::end_waits(&self.client, 100).await.unwrap();
    }

    pub(crate) async fn admit(&self) -> Vec<Ticket> {
        self.admit_most(100).await
    }

    pub(crate) async fn admit_most(&self, batch: i32) -> Vec<Ticket> {
        let admitted = job::admit(&self.client, self.term, 0, batch, &[]).await.unwrap();
        admitted.into_iter().map(|dispatch| dispatch.ticket).collect()
    }

    pub(crate) async fn claim(&self, ticket: &Ticket) -> (AttemptId, Claimed) {
        let attempt = AttemptId::generate();
        (attempt, job::claim(&self.client, ticket, attempt, self.worker, "/scratch/x").await.unwrap())
    }

    /// Admits and claims the only job that can be.
    pub(crate) async fn running(&self) -> (JobId, AttemptId) {
        let tickets = self.admit().await;
        let [ticket] = &tickets[..] else { panic!("one ticket expected, got {tickets:?}") };
        let (attempt, claimed) = self.claim(ticket).await;
        assert!(matches!(claimed, Claimed::Mine(_)), "{claimed:?}");
        (ticket.job, attempt)
    }

    pub(crate) async fn state(&self, job: JobId) -> String {
        let row = self.client.query_one("SELECT state::text FROM job WHERE id = $1", &[&job.uuid()]).await.unwrap();
        row.get(0)
    }

    pub(crate) async fn head(&self) -> i32 {
        let row = self
            .client
            .query_one("SELECT head_version FROM project WHERE id = $1", &[&self.project.uuid()])
            .await
            .unwrap();
        row.get(0)
    }
}

async fn create_project(client: &Client) -> ProjectId {
    let project = ProjectId::generate();
    let create = "SELECT dd_create_project_v1($1, $2, 'make something', 'dummy', 'default', '{}', 'none')";
    client.execute(create, &[&project.uuid(), &TenantId::DEFAULT.uuid()]).await.unwrap();
    project
}

pub(crate) fn describe(id: WorkerId, instance: &str) -> NewWorker {
    NewWorker {
        id,
        instance: instance.to_owned(),
        pool: "default".to_owned(),
        slots: 4,
        session_slots: 1,
        agents: vec!["dummy".to_owned(), "command".to_owned()],
        labels: serde_json::json!({}),
        isolation: Isolation::None,
        rung: "copy".to_owned(),
        refused_rungs: serde_json::json!({}),
        build: "test".to_owned(),
    }
}

/// Announces the objects of a tree, as whoever uploads them would; for the job's tenant.
pub(crate) async fn announce(client: &Client, job: JobId, tree: &StoredTree) {
    let objects = tree.packs.iter().map(|pack| ("pack", &pack.id)).chain([("manifest", &tree.manifest_id)]);
    for (kind, id) in objects {
        let sql = "SELECT dd_announce_v1(tenant_id, $2, decode($3, 'hex'), 10, NULL) FROM job WHERE id = $1";
        client.query(sql, &[&job.uuid(), &kind, id]).await.unwrap();
    }
}

pub(crate) fn tree(byte: u8) -> StoredTree {
    let id = format!("{byte:02x}").repeat(32);
    StoredTree {
        tree_id: id.clone(),
        manifest_id: id.clone(),
        delta: None,
        packs: vec![StoredPack { id, bytes: 10 }],
        file_count: 1,
        total_bytes: 10,
    }
}

pub(crate) fn report() -> Report {
    Report { created_files: vec!["a".to_owned()], agent_start_s: Some(0.25), log_bytes: 3, ..Report::default() }
}
