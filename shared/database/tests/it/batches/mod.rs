//! Batches: lines in, jobs let go, rules kept; and after every step the counts are what the jobs are.

mod lines;
mod quotas;
mod random;
mod rules;
mod steps;

use chrono::Utc;
use drydock_database::{
    Client, Database,
    batch::{self, BatchRow, BatchSettings, Counts, Created, LineJob, LineOutcome, NewBatch, Refused, Stepped},
    job::NewJob,
};
use drydock_domain::{BatchId, JobId, JobType, Outcome, ProjectId, TenantId};
use serde_json::json;

use crate::support::Fleet;

const T: TenantId = TenantId::DEFAULT;

/// A batch, and a fleet to run it.
struct Batch {
    fleet: Fleet,
    projects: Vec<ProjectId>,
    id: BatchId,
}

impl Batch {
    async fn new(database: &Database, projects: usize, settings: BatchSettings) -> Self {
        let fleet = Fleet::new(database).await;
        let mut all = vec![fleet.project];
        for _ in 1..projects {
            all.push(fleet.another_project(database).await.project);
        }
        let new = NewBatch {
            id: BatchId::generate(),
            name: "fix".to_owned(),
            labels: json!({}),
            settings,
            idempotency: None,
        };
        assert_eq!(batch::create(&fleet.client, T, &new).await.unwrap(), Created::New(new.id));
        Self { fleet, projects: all, id: new.id }
    }

    fn client(&self) -> &Client {
        &self.fleet.client
    }

    /// Line `number`, of one project after the other.
    fn line(&self, number: i32) -> LineJob {
        let project = self.projects[usize::try_from(number - 1).unwrap() % self.projects.len()];
        let job = NewJob::new(project, JobType::Edit, format!("line {number}"), "do it".to_owned());
        LineJob { line: number, hash: number.into(), job }
    }

    async fn send(&self, lines: impl IntoIterator<Item = i32>) -> Vec<(i32, LineOutcome)> {
        let lines: Vec<LineJob> = lines.into_iter().map(|number| self.line(number)).collect();
        match batch::accept(self.client(), T, self.id, &lines).await.unwrap() {
            Refused::Lines(refused) => refused,
            Refused::NoBatch => panic!("the batch is there"),
        }
    }

    /// All of `lines`, and that was all.
    async fn fill(&self, lines: i32) {
        assert_eq!(self.send(1..=lines).await, []);
        assert_eq!(batch::close(self.client(), T, self.id).await.unwrap(), batch::Changed::Done);
        self.check().await;
    }

    async fn step(&self, ahead: i32) -> Stepped {
        let stepped = batch::step(self.client(), self.id, ahead, 1000).await.unwrap().expect("nobody else holds it");
        self.check().await;
        stepped
    }

    async fn row(&self) -> BatchRow {
        batch::find(self.client(), T, self.id).await.unwrap().unwrap()
    }

    async fn counts(&self) -> [i32; 5] {
        let Counts { queued, in_progress, completed, error, cancelled } = self.row().await.counts;
        [queued, in_progress, completed, error, cancelled]
    }

    /// Jobs that stand in `state`.
    async fn in_state(&self, state: &str) -> i64 {
        let sql = "SELECT count(*) FROM job WHERE batch_id = $1 AND state = $2::text::job_state AND retried_by IS NULL";
        self.client().query_one(sql, &[&self.id.uuid(), &state]).await.unwrap().get(0)
    }

    async fn job(&self, line: i32) -> JobId {
        let sql = "SELECT id FROM job WHERE batch_id = $1 AND batch_line = $2 AND retried_by IS NULL";
        let row = self.client().query_one(sql, &[&self.id.uuid(), &line]).await.unwrap();
        row.get::<_, uuid::Uuid>(0).into()
    }

    /// Admits what can be, and runs it to `outcome`: how many.
    async fn run(&self, outcome: Outcome) -> usize {
        let tickets = self.fleet.admit().await;
        for ticket in &tickets {
            let (attempt, _) = self.fleet.claim(ticket).await;
            self.fleet.finish(ticket.job, attempt, outcome, None).await;
        }
        self.check().await;
        tickets.len()
    }

    /// The counts are what the jobs are, whatever is folded in.
    async fn check(&self) {
        let sql =
            "SELECT count(*) FILTER (WHERE dd_status_v1(state) = 'queued'), count(*) FILTER (WHERE state = 'running'),
              count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state IN ('failed', 'dead')),
              count(*) FILTER (WHERE state = 'canceled'), count(*) FILTER (WHERE on_hold AND state = 'scheduled'),
              count(*) FILTER (WHERE on_hold AND unmet <> 1 OR NOT on_hold AND unmet <> 0)
            FROM job WHERE batch_id = $1 AND retried_by IS NULL";
        let truth = self.client().query_one(sql, &[&self.id.uuid()]).await.unwrap();
        let truth: Vec<i64> = (0..7).map(|column| truth.get(column)).collect();
        let row = self.row().await;
        let told = self.counts().await.into_iter().chain([row.held, 0]).map(i64::from).collect::<Vec<_>>();
        assert_eq!(told, truth, "queued, in progress, completed, error, cancelled, held, and unmet is what held says");
        let over = row.finished_at.is_some();
        assert!(!over || row.closed && row.counts.queued + row.counts.in_progress == 0, "{row:?}");
        let now = Utc::now() + chrono::TimeDelta::seconds(5);
        assert!(row.updated_at < now);
    }
}
