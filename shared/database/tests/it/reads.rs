//! What reads cost while many jobs wait: rows looked at, by PostgreSQL's own count, and no table read from end to end.

use drydock_database::{
    GenericClient,
    job::{self, JobFilter, Waiting},
    page::Cursor,
};
use drydock_domain::{JobId, JobState, TenantId};

use crate::support::Fleet;

const MANY: i64 = 100_000;

/// Rows of jobs and attempts looked at in this transaction so far: by any index, and by scans of a whole table.
async fn looked_at(conn: &impl GenericClient) -> (i64, i64) {
    let sql = "SELECT coalesce(sum(idx_tup_fetch), 0)::bigint, coalesce(sum(seq_tup_read), 0)::bigint
                 FROM pg_stat_xact_user_tables WHERE relname IN ('job', 'attempt', 'job_dependency')";
    let row = conn.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// One job many times over, in another state.
async fn backlog(fleet: &Fleet, of: JobId, state: &str, many: i64) {
    let columns = "tenant_id, project_id, job_type, title, instruction, agent, pool, demand, priority";
    let sql = format!(
        "INSERT INTO job (id, {columns}, read_only, state, queued_at, created_at)
         SELECT gen_random_uuid(), {columns}, true, $3::text::job_state, now() - n * interval '1 s', now() - n * interval '1 s'
           FROM job, generate_series(1, $2::bigint) n WHERE id = $1"
    );
    fleet.client.execute(&sql, &[&of.uuid(), &many, &state]).await.unwrap();
    fleet.client.batch_execute("ANALYZE job").await.unwrap();
}

async fn newest(fleet: &Fleet, state: &str) -> JobId {
    let sql = "SELECT id FROM job WHERE state = $1::text::job_state ORDER BY created_at DESC, id DESC LIMIT 1";
    let id: uuid::Uuid = fleet.client.query_one(sql, &[&state]).await.unwrap().get(0);
    id.into()
}

#[tokio::test]
async fn why_a_job_waits_costs_the_same_whatever_the_backlog() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    let first = fleet.plain().await;
    backlog(&fleet, first, "queued", MANY).await;
    let other = fleet.another_project(&database).await;
    let second = other.plain().await;
    backlog(&fleet, second, "pending", MANY).await;
    let (queued, pending) = (newest(&fleet, "queued").await, newest(&fleet, "pending").await);
    for (job, lane) in [(queued, false), (pending, true)] {
        let transaction = fleet.client.transaction().await.unwrap();
        let before = looked_at(&transaction).await;
        let waiting = job::waiting(&transaction, job).await.unwrap().unwrap();
        let after = looked_at(&transaction).await;
        let place = match waiting {
            Waiting::Ready(ready) if !lane => ready.place,
            Waiting::Lane(held) if lane => held.place,
            other => panic!("{other:?}"),
        };
        assert_eq!((place.position, place.more), (10_000, true));
        let (rows, scanned) = (after.0 - before.0, after.1 - before.1);
        assert!(rows < 12_000 && scanned < 100, "lane {lane}: {rows} rows by index, {scanned} by scans");
    }
}

#[tokio::test]
async fn the_quarantine_is_found_among_many() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    let first = fleet.plain().await;
    backlog(&fleet, first, "queued", MANY).await;
    let sql = "UPDATE job SET state = 'dead', finished_at = now() WHERE id = $1";
    fleet.client.execute(sql, &[&first.uuid()]).await.unwrap();
    let transaction = fleet.client.transaction().await.unwrap();
    let before = looked_at(&transaction).await;
    let filter = JobFilter { details: vec![JobState::Dead.as_str().to_owned()], ..JobFilter::default() };
    let page = job::list(&transaction, TenantId::DEFAULT, &filter, Cursor::start(), 50).await.unwrap();
    let after = looked_at(&transaction).await;
    assert_eq!(page.items.iter().map(|row| row.id).collect::<Vec<_>>(), [first]);
    assert!(after.0 - before.0 < 100 && after.1 - before.1 < 100, "{before:?} {after:?}");
}

/// Red where the planner may take the tenant's list for a project's: it then reads all that came later.
#[tokio::test]
async fn a_page_of_an_old_project_of_many_jobs_costs_no_more_than_its_rows() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    let first = fleet.plain().await;
    backlog(&fleet, first, "pending", MANY / 10).await;
    fleet.client.execute("UPDATE job SET created_at = created_at - interval '10 days'", &[]).await.unwrap();
    let project = fleet.project;
    let other = fleet.another_project(&database).await;
    let second = other.plain().await;
    backlog(&other, second, "pending", MANY).await;
    let filter = JobFilter { project: Some(project), ..JobFilter::default() };
    let transaction = fleet.client.transaction().await.unwrap();
    for _ in 0..2 {
        let before = looked_at(&transaction).await;
        let page = job::list(&transaction, TenantId::DEFAULT, &filter, Cursor::start(), 50).await.unwrap();
        let after = looked_at(&transaction).await;
        assert_eq!(page.items.len(), 50);
        assert!(after.0 - before.0 < 200 && after.1 - before.1 < 100, "{before:?} {after:?}");
    }
    let stranger = TenantId::from(uuid::Uuid::now_v7());
    let page = job::list(&transaction, stranger, &filter, Cursor::start(), 50).await.unwrap();
    assert!(page.items.is_empty(), "another tenant's");
}
