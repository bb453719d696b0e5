//! The audit log: written once, with the job it tells of, changed by nobody, chained without gaps.

use drydock_database::{
    Client,
    api_key::{self, Bootstrapped},
    audit::{self, Actor, Asked, AuditFilter, AuditRecord, AuditResult, ChainedRecord, Changes, Origin, Outcome},
    job::{self, Accepted, NewJob},
    page::Cursor,
    project::{self, NewProject},
};
use drydock_domain::{ApiKey, ApiKeyId, Isolation, JobType, ProjectId, TenantId};
use serde_json::{Value, json};
use uuid::Uuid;

fn done() -> AuditResult {
    AuditResult { outcome: Outcome::Done, status: Some(201), created: None, changes: Changes::default() }
}

fn asked(tenant: TenantId, action: &'static str) -> Asked {
    let (id, origin) = (Uuid::now_v7(), Origin::default());
    Asked { id, tenant_id: tenant, at: chrono::Utc::now(), action, actor: Actor::Anyone, target: None, origin }
}

fn record(tenant: TenantId, action: &'static str) -> AuditRecord {
    AuditRecord::Asked { asked: asked(tenant, action), result: None }
}

async fn listed(client: &Client, tenant: TenantId, filter: &AuditFilter) -> Vec<(String, Option<Value>)> {
    let page = audit::list(client, tenant, filter, Cursor::start(), 500).await.unwrap();
    let told = |row: audit::AuditRow| {
        let outcome = row.answer.as_ref().unwrap_or(&row.record).get("outcome").cloned();
        (row.record["action"].as_str().unwrap().to_owned(), outcome)
    };
    page.items.into_iter().map(told).collect()
}

/// The chain as it is exported, checked by its rule.
async fn chain_of(client: &Client, tenant: TenantId) -> Vec<ChainedRecord> {
    let records = audit::chained(client, tenant, 0, 1000).await.unwrap();
    let mut before = "0".repeat(64);
    for (position, record) in (1..).zip(&records) {
        let sql = "SELECT encode(sha256(convert_to($1 || chr(10) || $2, 'UTF8')), 'hex') AS hash";
        let expected: String = client.query_one(sql, &[&before, &record.record]).await.unwrap().get("hash");
        assert_eq!((record.position, &record.hash), (position, &expected));
        before = expected;
    }
    records
}

#[tokio::test]
async fn a_request_is_listed_with_what_came_of_it() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let (tenant, other) = (TenantId::DEFAULT, TenantId::generate());
    let (first, second) = (asked(tenant, "key.create"), asked(tenant, "job.cancel"));
    let made = Uuid::now_v7();
    let answer = AuditRecord::answer(first.id, tenant, AuditResult { created: Some(made), ..done() });
    let first = AuditRecord::Asked { asked: first, result: None };
    let target = second.id;
    let second = AuditRecord::Asked { asked: Asked { target: Some(target), ..second }, result: None };
    audit::append(&client, &[first.clone(), second, record(other, "tenant.create")]).await.unwrap();
    audit::append(&client, &[answer, first]).await.unwrap();

    let all = listed(&client, tenant, &AuditFilter::default()).await;
    assert_eq!(all, [("job.cancel".to_owned(), None), ("key.create".to_owned(), Some(json!("done")))]);
    let by = |action: &str| AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
    assert_eq!(listed(&client, tenant, &by("key.")).await.len(), 1);
    assert_eq!(listed(&client, tenant, &by("ey.")).await.len(), 0);
    let of = |object| AuditFilter { object: Some(object), ..AuditFilter::default() };
    assert_eq!(listed(&client, tenant, &of(made)).await[0].0, "key.create");
    assert_eq!(listed(&client, tenant, &of(target)).await[0].0, "job.cancel");
    assert_eq!(listed(&client, other, &of(made)).await, []);
    assert_eq!(listed(&client, other, &AuditFilter::default()).await.len(), 1);
    let page = audit::list(&client, tenant, &AuditFilter::default(), Cursor::start(), 1).await.unwrap();
    let next = audit::list(&client, tenant, &AuditFilter::default(), page.next.unwrap(), 1).await.unwrap();
    assert_eq!((next.items[0].record["action"].as_str(), next.next), (Some("key.create"), None));
}

#[tokio::test]
async fn nobody_changes_or_removes_a_record() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    audit::append(&client, &[record(TenantId::DEFAULT, "key.create")]).await.unwrap();
    audit::chain(&client, 10).await.unwrap();
    for table in ["audit_record", "audit_chain"] {
        for sql in [
            format!("UPDATE {table} SET tenant_id = gen_random_uuid()"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
        ] {
            let error = client.batch_execute(&sql).await.expect_err(&sql);
            assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{sql}");
        }
    }
}

#[tokio::test]
async fn each_tenant_has_a_chain_of_its_own_without_gaps() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let tenants = [TenantId::DEFAULT, TenantId::generate()];
    for round in 0..3 {
        for tenant in tenants {
            audit::append(&client, &[record(tenant, "a"), record(tenant, "b"), record(tenant, "c")]).await.unwrap();
        }
        assert_eq!(audit::pending(&client, 100).await.unwrap(), 6);
        assert_eq!(audit::pending(&client, 4).await.unwrap(), 4);
        assert_eq!(audit::chain(&client, 4).await.unwrap(), 4, "round {round}");
        assert_eq!(audit::chain(&client, 4).await.unwrap(), 2);
        assert_eq!(audit::chain(&client, 4).await.unwrap(), 0);
    }
    for tenant in tenants {
        let chain = chain_of(&client, tenant).await;
        assert_eq!(chain.len(), 9);
        assert!(chain.iter().all(|record| record.record.contains(&tenant.to_string())));
        let rest = audit::chained(&client, tenant, 7, 1).await.unwrap();
        assert_eq!(rest, chain[7..8]);
    }
}

#[tokio::test]
async fn of_two_that_chain_at_once_one_does() {
    let database = drydock_testing::database().await;
    let mut one = database.client().await.unwrap();
    let other = database.client().await.unwrap();
    audit::append(&other, &[record(TenantId::DEFAULT, "a")]).await.unwrap();
    let transaction = one.transaction().await.unwrap();
    assert_eq!(audit::chain(&transaction, 10).await.unwrap(), 1);
    audit::append(&other, &[record(TenantId::DEFAULT, "b")]).await.unwrap();
    assert_eq!(audit::chain(&other, 10).await.unwrap(), 0, "what the first one does is not known yet");
    transaction.commit().await.unwrap();
    assert_eq!(audit::chain(&other, 10).await.unwrap(), 1);
    assert_eq!(chain_of(&other, TenantId::DEFAULT).await.len(), 2);
}

#[tokio::test]
async fn a_new_job_comes_with_its_record_and_no_other_does() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let tenant = TenantId::DEFAULT;
    let project = NewProject {
        id: ProjectId::generate(),
        tenant,
        instruction: "build a thing".to_owned(),
        agent: "dummy".to_owned(),
        pool: "default".to_owned(),
        min_isolation: Isolation::None,
        labels: json!({}),
    };
    project::create(&client, &project).await.unwrap();
    let noted = |project: ProjectId| {
        let mut new = NewJob::new(project, JobType::Edit, "t".to_owned(), "do it".to_owned());
        let result = Some(AuditResult { created: Some(new.id.uuid()), ..done() });
        new.audit = Some(AuditRecord::Asked { asked: asked(tenant, "job.submit"), result }.text());
        new
    };
    let quiet = NewJob { audit: None, ..noted(project.id) };
    let (good, bad) = (noted(project.id), noted(ProjectId::generate()));
    let jobs = [bad, good.clone(), quiet];
    let answers = job::accept_all(&client, tenant, &jobs).await.unwrap();
    assert!(matches!(answers[..], [Accepted::NoProject, Accepted::New(_), Accepted::New(_)]), "{answers:?}");
    audit::chain(&client, 10).await.unwrap();
    let chain = chain_of(&client, tenant).await;
    assert_eq!(chain.iter().map(|record| record.record.as_str()).collect::<Vec<_>>(), [good.audit.as_deref().unwrap()]);
    let of = AuditFilter { object: Some(good.id.uuid()), ..AuditFilter::default() };
    assert_eq!(listed(&client, tenant, &of).await.len(), 1);
}

#[tokio::test]
async fn the_first_key_is_in_the_log() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    for _ in 0..2 {
        let (id, key) = (ApiKeyId::generate(), ApiKey::generate());
        let made =
            api_key::bootstrap(&client, (id, key.prefix(), key.hash()), "default", "admin", false).await.unwrap();
        if made == Bootstrapped::Made {
            let of = AuditFilter { object: Some(id.uuid()), ..AuditFilter::default() };
            assert_eq!(
                listed(&client, TenantId::DEFAULT, &of).await,
                [("key.bootstrap".to_owned(), Some(json!("done")))]
            );
        }
    }
    assert_eq!(listed(&client, TenantId::DEFAULT, &AuditFilter::default()).await.len(), 1);
}

#[tokio::test]
async fn filters_find_what_looking_at_everything_finds() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let tenant = TenantId::DEFAULT;
    let (key, other, user) = (ApiKeyId::generate(), ApiKeyId::generate(), drydock_domain::UserId::generate());
    let actions = ["job.submit", "job.cancel", "job-like", "jobs.x", "key.create", "JOB.submit", "project.create"];
    let actors = [
        Actor::Anyone,
        Actor::Key { key, user: None },
        Actor::Key { key: other, user: Some(user) },
        Actor::Token { user },
    ];
    let mut records = Vec::new();
    for n in 0..280 {
        let asked = Asked { actor: actors[n / 7 % 4], ..asked(tenant, actions[n % 7]) };
        records.push(AuditRecord::answer(asked.id, tenant, done()));
        records.push(AuditRecord::Asked { asked, result: None });
    }
    records.push(record(TenantId::generate(), "job.submit"));
    audit::append(&client, &records).await.unwrap();
    let everything = audit::list(&client, tenant, &AuditFilter::default(), Cursor::start(), 500).await.unwrap().items;
    assert_eq!(everything.len(), 280);
    let ids = [None, Some(key.uuid()), Some(other.uuid()), Some(user.uuid()), Some(Uuid::now_v7())];
    let middle = everything[140].at;
    for (action, actor) in [None, Some("job."), Some("job.submit"), Some("j"), Some("x")]
        .into_iter()
        .flat_map(|action| ids.map(|id| (action, id)))
    {
        for since in [None, Some(middle)] {
            let passes = |row: &&audit::AuditRow| {
                let is = |name: &str| actor.is_some_and(|id| row.record["actor"][name] == json!(id));
                action.is_none_or(|action| row.record["action"].as_str().unwrap().starts_with(action))
                    && (actor.is_none() || is("key") || is("user"))
                    && since.is_none_or(|since| row.at >= since)
            };
            let expected: Vec<Uuid> = everything.iter().filter(passes).map(|row| row.id).collect();
            let filter = AuditFilter { action: action.map(str::to_owned), actor, object: None, since };
            let (mut found, mut after) = (Vec::new(), Some(Cursor::start()));
            while let Some(cursor) = after {
                let page = audit::list(&client, tenant, &filter, cursor, 13).await.unwrap();
                found.extend(page.items.iter().map(|row| row.id));
                after = page.next;
            }
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}
