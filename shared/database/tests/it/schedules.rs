//! Schedules: made once, changed by one at a time, fired once for each due time.

use drydock_database::{
    Client, Database,
    job::{self, Idempotency, NewJob},
    page::Cursor,
    schedule::{self, Created, Due, Fired, NewSchedule, ScheduleRow},
    tenant::{self, Quotas, TenantChange},
};
use drydock_domain::{JobType, Missed, ProjectId, ScheduleId, TenantId};
use serde_json::json;

use crate::support::Fleet;

const TENANT: TenantId = TenantId::DEFAULT;

fn new(project: ProjectId) -> NewSchedule {
    let mut job = NewJob::new(project, JobType::Edit, "t".to_owned(), "tidy up".to_owned());
    (job.priority, job.timeout_s, job.requires) = (7, Some(60), json!({"gpu": "yes"}));
    NewSchedule {
        id: ScheduleId::generate(),
        project,
        name: "nightly".to_owned(),
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        missed: Missed::Once,
        job: job.template().unwrap(),
        paused: false,
        next_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        idempotency: None,
    }
}

async fn make(database: &Database, change: impl FnOnce(&mut NewSchedule), project: ProjectId) -> ScheduleId {
    let mut new = new(project);
    change(&mut new);
    let created = schedule::create(&mut database.client().await.unwrap(), TENANT, &new).await.unwrap();
    assert_eq!(created, Created::New(new.id));
    new.id
}

async fn due(client: &Client) -> Vec<Due> {
    schedule::due(client, 100).await.unwrap()
}

async fn read(client: &Client, id: ScheduleId) -> ScheduleRow {
    schedule::find(client, TENANT, id).await.unwrap().unwrap()
}

#[tokio::test]
async fn only_what_is_due_is_due_oldest_first() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let second = make(&database, |_| {}, fleet.project).await;
    let first = make(&database, |new| new.next_at = Some("2025-01-01T00:00:00Z".parse().unwrap()), fleet.project).await;
    make(&database, |new| new.next_at = Some("2999-01-01T00:00:00Z".parse().unwrap()), fleet.project).await;
    make(&database, |new| new.next_at = None, fleet.project).await;
    make(&database, |new| new.paused = true, fleet.project).await;
    let gone = make(&database, |_| {}, fleet.project).await;
    assert!(schedule::delete(&fleet.client, TENANT, gone).await.unwrap());
    assert!(!schedule::delete(&fleet.client, TENANT, gone).await.unwrap(), "once");
    assert!(schedule::find(&fleet.client, TENANT, gone).await.unwrap().is_none());
    let found = due(&fleet.client).await;
    assert_eq!(found.iter().map(|due| due.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(schedule::due(&fleet.client, 1).await.unwrap().len(), 1);
    assert!(found[0].now > found[0].due_at);
    let page = schedule::list(&fleet.client, TENANT, Some(fleet.project), Cursor::start(), 3).await.unwrap();
    assert_eq!((page.items.len(), page.next.is_some()), (3, true));
}

#[tokio::test]
async fn a_due_time_fires_once_whoever_fires() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let id = make(&database, |_| {}, fleet.project).await;
    let [one, two] = [database.client().await.unwrap(), database.client().await.unwrap()];
    let found = due(&one).await.remove(0);
    let next = Some("2999-01-01T00:00:00Z".parse().unwrap());
    let (a, b) = tokio::join!(schedule::fire(&one, &found, next, true), schedule::fire(&two, &found, next, true));
    let mut outcomes = [a.unwrap(), b.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == Fired::MovedOn);
    let [Fired::Job(job), Fired::MovedOn] = outcomes else { panic!("{outcomes:?}") };
    let row = read(&one, id).await;
    assert_eq!((row.next_at, row.last_at, row.last_job), (next, Some(found.due_at), Some(job)));
    let made = "SELECT state::text, priority, timeout_s, requires, schedule_id, instruction FROM job WHERE id = $1";
    let made = one.query_one(made, &[&job.uuid()]).await.unwrap();
    assert_eq!((made.get::<_, &str>(0), made.get::<_, i16>(1), made.get::<_, Option<i32>>(2)), ("queued", 7, Some(60)));
    assert_eq!(made.get::<_, serde_json::Value>(3), json!({"gpu": "yes"}));
    assert_eq!((made.get::<_, uuid::Uuid>(4), made.get::<_, &str>(5)), (id.uuid(), "tidy up"));
    assert_eq!(schedule::fire(&one, &found, next, true).await.unwrap(), Fired::MovedOn, "again");
    let jobs = one.query_one("SELECT count(*) FROM job", &[]).await.unwrap();
    assert_eq!(jobs.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_time_may_pass_without_a_job() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let id = make(&database, |_| {}, fleet.project).await;
    let found = due(&fleet.client).await.remove(0);
    assert_eq!(schedule::fire(&fleet.client, &found, None, false).await.unwrap(), Fired::Skipped);
    assert_eq!(read(&fleet.client, id).await.next_at, None);
    let orphan = make(&database, |_| {}, fleet.project).await;
    fleet.client.execute("UPDATE project SET deleted_at = now()", &[]).await.unwrap();
    let found = due(&fleet.client).await.remove(0);
    assert_eq!(
        (found.id, schedule::fire(&fleet.client, &found, None, true).await.unwrap()),
        (orphan, Fired::NoProject)
    );
    assert!(due(&fleet.client).await.is_empty(), "and it is moved on all the same");
    let jobs = job::list(&fleet.client, TENANT, &job::JobFilter::default(), Cursor::start(), 10).await.unwrap();
    assert!(jobs.items.is_empty());
}

#[tokio::test]
async fn a_change_holds_only_on_what_was_read() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let id = make(&database, |_| {}, fleet.project).await;
    let mut row = read(&fleet.client, id).await;
    let found = due(&fleet.client).await.remove(0);
    let next = Some("2999-01-01T00:00:00Z".parse().unwrap());
    schedule::fire(&fleet.client, &found, next, true).await.unwrap();
    row.name = "renamed".to_owned();
    assert!(!schedule::update(&fleet.client, TENANT, &row).await.unwrap(), "it fired meanwhile");
    let mut row = read(&fleet.client, id).await;
    assert_eq!((row.name.as_str(), row.next_at), ("nightly", next));
    row.name = "renamed".to_owned();
    assert!(schedule::update(&fleet.client, TENANT, &row).await.unwrap());
    assert_eq!(read(&fleet.client, id).await.name, "renamed");
}

#[tokio::test]
async fn a_repeated_request_makes_one() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let keyed = |byte| {
        let idempotency = Some(Idempotency { key: "k".to_owned(), fingerprint: [byte; 32] });
        NewSchedule { idempotency, ..new(fleet.project) }
    };
    let mut client = database.client().await.unwrap();
    let nowhere = NewSchedule { project: ProjectId::generate(), ..keyed(1) };
    assert_eq!(schedule::create(&mut client, TENANT, &nowhere).await.unwrap(), Created::NoProject);
    let first = keyed(1);
    assert_eq!(
        schedule::create(&mut client, TENANT, &first).await.unwrap(),
        Created::New(first.id),
        "the key stayed free"
    );
    assert_eq!(schedule::create(&mut client, TENANT, &keyed(1)).await.unwrap(), Created::Replayed(first.id));
    assert_eq!(schedule::create(&mut client, TENANT, &keyed(2)).await.unwrap(), Created::KeyReused);
    let page = schedule::list(&client, TENANT, None, Cursor::start(), 10).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

/// What is due later costs nothing to whoever looks for what is due now.
#[tokio::test]
async fn later_schedules_are_not_read() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    let many = "INSERT INTO schedule (id, tenant_id, project_id, name, cron, job, next_at)
                SELECT gen_random_uuid(), $1, $2, 'x', '@daily', '{}', now() + interval '1 day' FROM generate_series(1, 5000)";
    client.execute(many, &[&TENANT.uuid(), &fleet.project.uuid()]).await.unwrap();
    client.batch_execute("ANALYZE schedule").await.unwrap();
    let plan = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT s.id FROM schedule s
                 WHERE NOT s.paused AND s.deleted_at IS NULL AND s.next_at <= now() ORDER BY s.next_at LIMIT 100";
    let rows = client.query(plan, &[]).await.unwrap();
    let plan: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Cond: (next_at <= now())") && !plan.contains("Removed by Filter"), "{plan}");
}

#[tokio::test]
async fn without_room_for_a_job_the_time_passes_and_the_next_one_comes() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let quota = async |most: i32| {
        let quotas = Quotas { max_queued_jobs: Some(most), ..Quotas::default() };
        tenant::change(&fleet.client, TENANT, None, &TenantChange { quotas, ..TenantChange::default() }).await.unwrap()
    };
    fleet.plain().await;
    quota(1).await;
    let id = make(&database, |_| {}, fleet.project).await;
    let found = due(&fleet.client).await.remove(0);
    let next = Some("2026-01-01T01:00:00Z".parse().unwrap());
    assert_eq!(schedule::fire(&fleet.client, &found, next, true).await.unwrap(), Fired::OverQuota);
    assert_eq!(read(&fleet.client, id).await.next_at, next);
    quota(2).await;
    let found = due(&fleet.client).await.remove(0);
    assert!(matches!(schedule::fire(&fleet.client, &found, None, true).await.unwrap(), Fired::Job(_)));
    let queued = tenant::find(&fleet.client, TENANT).await.unwrap().unwrap().queued_jobs;
    assert_eq!(queued, Some(2), "it counts like any other");
}
