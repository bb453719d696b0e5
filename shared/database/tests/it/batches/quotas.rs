//! A tenant's quotas, and batches: lines that are held, and stored bytes. Tokens as a budget.

use drydock_database::{
    batch::{Changed, PauseReason},
    job::{self, Finish, Finished},
    tenant::{self, Quotas, TenantChange},
    usage::UsedTokens,
};
use drydock_domain::agent::Tokens;

use super::*;
use crate::support::report;

async fn set(client: &Client, quotas: Quotas) {
    let change = TenantChange { quotas, ..TenantChange::default() };
    assert_eq!(tenant::change(client, T, None, &change).await.unwrap(), tenant::Changed::Done);
}

fn over(words: &str) -> LineOutcome {
    LineOutcome::OverQuota(words.to_owned())
}

#[tokio::test]
async fn lines_beyond_what_a_tenants_batches_may_hold_are_refused_until_some_were_let_go() {
    let database = drydock_testing::database().await;
    let one = Batch::new(&database, 3, BatchSettings::default()).await;
    set(one.client(), Quotas { max_held_jobs: Some(5), ..Quotas::default() }).await;
    let full = over("held batch lines: 5 of 5 are used");
    assert_eq!(one.send([9, 2, 1, 4]).await, []);
    let replayed = |line| (line, LineOutcome::Replayed);
    let expected = [replayed(1), (6, full.clone()), (7, full.clone()), replayed(9)];
    assert_eq!(
        one.send([7, 1, 5, 9, 6]).await,
        expected,
        "the lower lines first, and those that are there take no room"
    );
    let again = [LineOutcome::Replayed, full.clone(), full.clone()];
    assert_eq!(one.send(5..=7).await, (5..).zip(again).collect::<Vec<_>>());
    let beyond = batch::beyond(one.client(), T, one.id, &[5, 6]).await.unwrap();
    assert_eq!(beyond, [(6, "held batch lines: 5 of 5 are used".to_owned())], "line 5 is there");
    one.check().await;
    // What is let go is not held, and what another batch holds is.
    assert_eq!(one.step(2).await.let_go, 2);
    assert_eq!(batch::beyond(one.client(), T, one.id, &[6]).await.unwrap(), []);
    assert_eq!(one.send(6..=8).await, [(8, full.clone())]);
    let two = BatchId::generate();
    let new = NewBatch {
        id: two,
        name: "two".to_owned(),
        labels: json!({}),
        settings: BatchSettings::default(),
        idempotency: None,
    };
    batch::create(one.client(), T, &new).await.unwrap();
    let line = [LineJob { line: 1, ..one.line(1) }];
    let refused = batch::accept(one.client(), T, two, &line).await.unwrap();
    assert_eq!(refused, Refused::Lines(vec![(1, full)]));
    batch::cancel(one.client(), T, one.id, None).await.unwrap();
    while !one.step(9).await.finished {}
    assert_eq!(batch::accept(one.client(), T, two, &line).await.unwrap(), Refused::Lines(Vec::new()));
    set(one.client(), Quotas { max_held_jobs: Some(0), ..Quotas::default() }).await;
    let many: Vec<LineJob> = (2..20).map(|number| one.line(number)).collect();
    assert_eq!(batch::accept(one.client(), T, two, &many).await.unwrap(), Refused::Lines(Vec::new()));
}

#[tokio::test]
async fn at_its_tenants_quota_of_stored_bytes_a_batch_takes_no_lines_and_pauses() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 3, BatchSettings::default()).await;
    assert_eq!(batch.send(1..=3).await, []);
    assert_eq!(batch.step(1).await.let_go, 1);
    let store = "SELECT dd_announce_v2($1, 'pack', decode(repeat('ab', 32), 'hex'), 100, NULL)";
    batch.client().query(store, &[&T.uuid()]).await.unwrap();
    set(batch.client(), Quotas { max_storage_bytes: Some(100), ..Quotas::default() }).await;
    assert_eq!(batch.send([3, 4]).await, [(3, LineOutcome::Replayed), (4, over("stored bytes: 100 of 100 are used"))]);
    assert_eq!(batch.step(9).await.paused, Some(PauseReason::Storage));
    assert_eq!(batch.in_state("scheduled").await, 3, "also what had been let go");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Storage);
    set(batch.client(), Quotas { max_storage_bytes: Some(101), ..Quotas::default() }).await;
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(9).await.let_go, 3);
    set(batch.client(), Quotas { max_storage_bytes: Some(100), ..Quotas::default() }).await;
    assert_eq!(batch.step(9).await.paused, None, "it holds nothing back that would store more");
}

#[tokio::test]
async fn what_another_tenants_batches_hold_takes_no_room() {
    let database = drydock_testing::database().await;
    let batch = Batch::new(&database, 1, BatchSettings::default()).await;
    let other = TenantId::generate();
    let client = batch.client();
    client.execute("INSERT INTO tenant (id, name) VALUES ($1, 'other')", &[&other.uuid()]).await.unwrap();
    let theirs = "INSERT INTO batch (id, tenant_id, name, held, queued) VALUES ($1, $2, 'theirs', 50, 50)";
    client.execute(theirs, &[&BatchId::generate().uuid(), &other.uuid()]).await.unwrap();
    set(client, Quotas { max_held_jobs: Some(2), ..Quotas::default() }).await;
    assert_eq!(batch.send(1..=3).await, [(3, over("held batch lines: 2 of 2 are used"))]);
}

async fn finish(batch: &Batch, outcome: Outcome, tokens: Option<Tokens>) -> Finish {
    let ticket = batch.fleet.admit().await.remove(0);
    let (attempt, _) = batch.fleet.claim(&ticket).await;
    let report = drydock_database::report::Report { tokens, ..report() };
    let finish = Finish::new(ticket.job, attempt, outcome, report);
    assert_eq!(job::finish(batch.client(), &finish).await.unwrap(), Finished::Ok);
    finish
}

#[tokio::test]
async fn a_budget_of_tokens_counts_every_attempt_once_and_pauses_when_it_is_spent() {
    let database = drydock_testing::database().await;
    let settings = BatchSettings { budget_tokens: Some(100), ..BatchSettings::default() };
    let batch = Batch::new(&database, 4, settings).await;
    batch.fill(4).await;
    batch.step(1).await;
    let some = Tokens { input: 40, cached_input: 30, output: 9 };
    let told = finish(&batch, Outcome::Interrupted, Some(some)).await;
    assert_eq!(job::finish(batch.client(), &told).await.unwrap(), Finished::Already, "told again");
    let used = UsedTokens { input: 40, cached_input: 30, output: 9 };
    assert_eq!(batch.row().await.tokens, used, "an attempt that is repeated has used its tokens too");
    assert_eq!(batch.step(1).await.paused, None, "49 of 100, cached ones counted once");
    assert_eq!(batch.row().await.tokens, used, "folded in");
    finish(&batch, Outcome::Succeeded, None).await;
    assert_eq!(batch.step(1).await.paused, None);
    finish(&batch, Outcome::Failed, Some(Tokens { output: 11, ..some })).await;
    assert_eq!(batch.row().await.tokens, UsedTokens { input: 80, cached_input: 60, output: 20 });
    assert_eq!(batch.step(9).await.paused, Some(PauseReason::Budget), "100 of 100");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Budget);
    let raised = BatchSettings { budget_tokens: Some(101), ..BatchSettings::default() };
    assert_eq!(batch::change(batch.client(), T, batch.id, None, None, &raised).await.unwrap(), Changed::Done);
    assert_eq!(batch.row().await.settings, raised, "and nothing else");
    assert_eq!(batch::resume(batch.client(), T, batch.id).await.unwrap(), Changed::Done);
    assert_eq!(batch.step(9).await.let_go, 2);
}
