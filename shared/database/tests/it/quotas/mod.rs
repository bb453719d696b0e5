//! Quotas of a tenant: what is counted, how exactly, and what is refused. Held lines are in `batches::quotas`.

mod jobs;
mod storage;

use drydock_database::{
    Client,
    job::{self, Accepted, NewJob},
    pack,
    tenant::{self, Changed, Quotas, TenantChange, TenantRow},
};
use drydock_domain::{Digest, JobType, ObjectKind, ProjectId, TenantId};

const T: TenantId = TenantId::DEFAULT;

async fn set(client: &Client, quotas: Quotas) {
    let change = TenantChange { quotas, ..TenantChange::default() };
    assert_eq!(tenant::change(client, T, None, &change).await.unwrap(), Changed::Done);
}

async fn row(client: &Client) -> TenantRow {
    tenant::find(client, T).await.unwrap().unwrap()
}

fn edit(project: ProjectId) -> NewJob {
    NewJob::new(project, JobType::Edit, "t".to_owned(), "do it".to_owned())
}

async fn accept(client: &Client, jobs: &[NewJob]) -> Vec<Accepted> {
    job::accept_all(client, T, jobs).await.unwrap()
}

/// Which of the answers let a job in.
fn let_in(answers: &[Accepted]) -> Vec<bool> {
    answers.iter().map(|answer| matches!(answer, Accepted::New(_))).collect()
}

fn over(words: &str) -> Accepted {
    Accepted::OverQuota(words.to_owned())
}

/// Another tenant, with a project.
async fn stranger(client: &Client) -> (TenantId, ProjectId) {
    let (tenant, project) = (TenantId::generate(), ProjectId::generate());
    client.execute("INSERT INTO tenant (id, name) VALUES ($1, 'other')", &[&tenant.uuid()]).await.unwrap();
    let create = "SELECT dd_create_project_v1($1, $2, 'make something', 'dummy', 'default', '{}', 'none')";
    client.execute(create, &[&project.uuid(), &tenant.uuid()]).await.unwrap();
    (tenant, project)
}

#[tokio::test]
async fn tenants_count_apart() {
    let database = drydock_testing::database().await;
    let fleet = crate::support::Fleet::new(&database).await;
    let client = &fleet.client;
    let (other, theirs) = stranger(client).await;
    let quotas = Quotas { max_queued_jobs: Some(2), max_storage_bytes: Some(100), ..Quotas::default() };
    set(client, quotas).await;
    let change = TenantChange { quotas, ..TenantChange::default() };
    assert_eq!(tenant::change(client, other, None, &change).await.unwrap(), Changed::Done);
    let store = |tenant, byte: u8, bytes| {
        let object = pack::Object { tenant, kind: ObjectKind::Pack, id: Digest::from([byte; 32]) };
        pack::announce(client, object, bytes, None)
    };
    // The other one's rows come first, counted and not.
    let jobs = [edit(theirs), edit(theirs)];
    assert_eq!(let_in(&job::accept_all(client, other, &jobs[..1]).await.unwrap()), [true]);
    store(other, 1, 60).await.unwrap();
    tenant::count(client, other).await.unwrap();
    assert_eq!(let_in(&job::accept_all(client, other, &jobs[1..]).await.unwrap()), [true]);
    store(other, 2, 40).await.unwrap();

    assert_eq!(let_in(&accept(client, &[edit(fleet.project)]).await), [true]);
    store(T, 3, 70).await.unwrap();
    let has = async |id| {
        let row = tenant::find(client, id).await.unwrap().unwrap();
        (row.queued_jobs, row.stored_bytes)
    };
    assert_eq!((has(T).await, has(other).await), ((Some(1), 70), (Some(2), 100)));
    assert_eq!(tenant::to_count(client).await.unwrap().len(), 2);
    tenant::count(client, T).await.unwrap();
    assert_eq!((has(T).await, has(other).await), ((Some(1), 70), (Some(2), 100)));
    tenant::count(client, other).await.unwrap();
    assert_eq!((has(T).await, has(other).await), ((Some(1), 70), (Some(2), 100)));
    assert_eq!(let_in(&accept(client, &[edit(fleet.project)]).await), [true], "the other one's storage is theirs");
    store(T, 4, 30).await.unwrap();
    // A project of the other one is no place, and takes no room.
    set(client, Quotas { max_queued_jobs: Some(3), max_storage_bytes: Some(0), ..Quotas::default() }).await;
    let answers = accept(client, &[edit(theirs), edit(fleet.project)]).await;
    assert_eq!(answers[0], Accepted::NoProject);
    assert_eq!(let_in(&answers), [false, true]);
}
