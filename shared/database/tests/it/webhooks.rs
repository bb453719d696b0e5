//! Deliveries of webhooks: made once with the end they tell of, taken by one dispatcher at a time, so many for each receiver, and never at a
//! cost that grows with what waits.

use std::time::Duration;

use drydock_database::{
    Client, Database,
    webhook::{self, Claim, Created, Disabled, NewWebhook, Outcome, Patience, Shares, Tried, WebhookChange},
};
use drydock_domain::{DeliveryId, Outcome as Ended, TenantId, WebhookEvent, WebhookId};
use uuid::Uuid;

use crate::{
    backlog::cost,
    support::{Fleet, tree},
};

const LEASE: Duration = Duration::from_secs(60);
const DAYS: Duration = Duration::from_secs(5 * 86_400);
const PATIENCE: Patience = Patience { disable_after: DAYS, calm: Duration::from_secs(2 * 86_400) };
const AGAIN: Tried = Tried {
    arrived: false,
    status: Some(500),
    error: Some("status"),
    took: Duration::from_millis(3),
    again: Some(Duration::ZERO),
    gone: false,
    ours: false,
};
const ARRIVED: Tried = Tried { arrived: true, status: Some(204), error: None, again: None, ..AGAIN };

async fn hook(client: &Client, change: impl FnOnce(&mut NewWebhook)) -> WebhookId {
    let mut new = NewWebhook {
        id: WebhookId::generate(),
        project: None,
        name: "n".to_owned(),
        url: "https://1.1.1.1/".to_owned(),
        events: Vec::new(),
        secret: vec![1],
        paused: false,
    };
    change(&mut new);
    assert_eq!(webhook::create(client, TenantId::DEFAULT, &new, 20).await.unwrap(), Created::New);
    new.id
}

async fn test(client: &Client, hook: WebhookId, many: usize) {
    for _ in 0..many {
        assert!(webhook::test(client, TenantId::DEFAULT, hook, DeliveryId::generate()).await.unwrap());
    }
}

async fn claim(client: &Client, hooks: &[WebhookId], most: i32, each: i32) -> (Uuid, Vec<Claim>) {
    let who = Uuid::now_v7();
    (who, webhook::claim(client, hooks, who, most, Shares { webhook: each, tenant: 50 }, LEASE).await.unwrap())
}

async fn record(client: &Client, claim: &Claim, who: Uuid, tried: &Tried) -> (Outcome, Option<Disabled>) {
    let recorded = webhook::record(client, claim, who, tried, &PATIENCE).await.unwrap();
    (recorded.outcome, recorded.disabled)
}

async fn due(client: &Client) -> Vec<WebhookId> {
    let pending = webhook::pending(client, Uuid::nil(), 100).await.unwrap();
    pending.into_iter().filter(|pending| pending.is_due).map(|pending| pending.webhook).collect()
}

async fn told(client: &Client, hook: WebhookId) -> Vec<String> {
    let sql = "SELECT event FROM webhook_delivery WHERE webhook_id = $1 ORDER BY created_at";
    client.query(sql, &[&hook.uuid()]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn fleet(database: &Database) -> (Fleet, Client) {
    (Fleet::new(database).await, database.client().await.unwrap())
}

#[tokio::test]
async fn each_end_makes_one_delivery_for_each_who_asked() {
    let database = drydock_testing::database().await;
    let (fleet, client) = fleet(&database).await;
    let all = hook(&client, |_| {}).await;
    let errors = hook(&client, |new| new.events = vec![WebhookEvent::JobError]).await;
    let other = fleet.another_project(&database).await.project;
    let elsewhere = hook(&client, |new| new.project = Some(other)).await;
    let paused = hook(&client, |new| new.paused = true).await;
    // One that fails and is tried again ends once, at its last attempt.
    let job = fleet.accept(|job| job.retries = 1).await;
    for _ in 0..2 {
        let (id, attempt) = fleet.running().await;
        assert_eq!(id, job);
        fleet.finish(job, attempt, Ended::Failed, None).await;
        // The same answer again, as after a lost connection.
        fleet.finish(job, attempt, Ended::Failed, None).await;
        fleet.end_back_off(job).await;
    }
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    fleet.finish(job, attempt, Ended::Succeeded, Some(&tree(1))).await;
    assert_eq!(told(&client, all).await, ["job.error", "job.completed"]);
    assert_eq!(told(&client, errors).await, ["job.error"]);
    for none in [elsewhere, paused] {
        assert_eq!(told(&client, none).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn two_dispatchers_never_have_the_same_delivery() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hooks = [hook(&client, |_| {}).await, hook(&client, |_| {}).await];
    for hook in hooks {
        test(&client, hook, 40).await;
    }
    let one = async || {
        let client = database.client().await.unwrap();
        let mut mine = Vec::new();
        loop {
            let (who, taken) = claim(&client, &due(&client).await, 7, 5).await;
            for claim in &taken {
                assert_eq!(record(&client, claim, who, &ARRIVED).await, (Outcome::Delivered, None));
            }
            if taken.is_empty() && due(&client).await.is_empty() {
                return mine;
            }
            mine.extend(taken.into_iter().map(|claim| claim.id));
        }
    };
    let (a, b, c) = tokio::join!(one(), one(), one());
    let mut all = [a, b, c].concat();
    assert_eq!(all.len(), 80);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 80, "some were sent twice");
}

#[tokio::test]
async fn a_receiver_gets_so_many_at_once_and_one_while_it_fails() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let (slow, fast) = (hook(&client, |_| {}).await, hook(&client, |_| {}).await);
    test(&client, slow, 10).await;
    test(&client, fast, 2).await;
    let (pending, late) = webhook::backlog(&client).await.unwrap();
    assert!(pending == 12 && late < LEASE, "{pending} {late:?}");
    let count = |taken: &[Claim], hook| taken.iter().filter(|claim| claim.webhook == hook).count();
    let (who, first) = claim(&client, &[slow, fast], 100, 4).await;
    assert_eq!((count(&first, slow), count(&first, fast)), (4, 2));
    assert!(claim(&client, &[slow, fast], 100, 4).await.1.is_empty(), "four are under way");
    let mut of_slow = first.iter().filter(|claim| claim.webhook == slow);
    record(&client, of_slow.next().unwrap(), who, &ARRIVED).await;
    assert_eq!(claim(&client, &[slow], 100, 4).await.1.len(), 1, "a place is free");
    for claim in of_slow {
        assert_eq!(record(&client, claim, who, &AGAIN).await, (Outcome::Retrying, None));
    }
    assert!(claim(&client, &[slow], 100, 4).await.1.is_empty(), "it fails, and one is under way");
    client
        .batch_execute("UPDATE webhook_delivery SET claim = NULL, due_at = now() WHERE state = 'pending'")
        .await
        .unwrap();
    let (who, one) = claim(&client, &[slow], 100, 4).await;
    assert_eq!(one.len(), 1);
    record(&client, &one[0], who, &ARRIVED).await;
    assert_eq!(claim(&client, &[slow], 100, 4).await.1.len(), 4, "it is well again");
}

#[tokio::test]
async fn what_a_dispatcher_took_and_never_recorded_is_sent_by_another() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hook = hook(&client, |_| {}).await;
    test(&client, hook, 1).await;
    let (dead, first) = claim(&client, &[hook], 1, 1).await;
    assert!(due(&client).await.is_empty());
    client.batch_execute("UPDATE webhook_delivery SET due_at = clock_timestamp()").await.unwrap();
    let (who, second) = claim(&client, &due(&client).await, 1, 1).await;
    assert_eq!(second[0].id, first[0].id, "under the same id");
    assert_eq!(record(&client, &first[0], dead, &AGAIN).await, (Outcome::Lost, None), "it came back too late");
    assert_eq!(record(&client, &second[0], who, &ARRIVED).await, (Outcome::Delivered, None));
    assert_eq!(record(&client, &second[0], who, &ARRIVED).await, (Outcome::Lost, None));
}

#[tokio::test]
async fn a_webhook_is_disabled_when_it_is_gone_or_was_away_for_days() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hook = hook(&client, |_| {}).await;
    test(&client, hook, 1).await;
    let tried = async |tried: Tried| {
        client
            .batch_execute("UPDATE webhook_delivery SET due_at = clock_timestamp() WHERE state = 'pending'")
            .await
            .unwrap();
        let (who, taken) = claim(&client, &[hook], 1, 1).await;
        record(&client, &taken[0], who, &tried).await
    };
    let standing = async || webhook::find(&client, TenantId::DEFAULT, hook).await.unwrap().unwrap();
    assert_eq!(tried(AGAIN).await, (Outcome::Retrying, None));
    let since = standing().await.failing_since.unwrap();
    assert_eq!(tried(AGAIN).await, (Outcome::Retrying, None));
    assert_eq!(standing().await.failing_since, Some(since), "since the first of them");
    // A fault of ours is none of its.
    // A failure long ago, and then none for long: it begins anew.
    let long_ago =
        "UPDATE webhook SET failing_since = now() - interval '6 days', failed_at = now() - interval '3 days'";
    client.batch_execute(long_ago).await.unwrap();
    assert_eq!(tried(AGAIN).await, (Outcome::Retrying, None));
    assert!(standing().await.failing_since > Some(since), "since now");
    client.batch_execute("UPDATE webhook SET failing_since = now() - interval '6 days'").await.unwrap();
    assert_eq!(tried(Tried { ours: true, ..AGAIN }).await, (Outcome::Retrying, None));
    assert_eq!(tried(AGAIN).await, (Outcome::Retrying, Some(Disabled::Failing)));
    client.batch_execute("UPDATE webhook_delivery SET due_at = clock_timestamp()").await.unwrap();
    assert!(claim(&client, &[hook], 1, 1).await.1.is_empty(), "nothing is sent to it");
    let row = client.query_one("SELECT attempts, step FROM webhook_delivery", &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i16>(1)), (4, 4));
    let resume = WebhookChange { paused: Some(false), ..WebhookChange::default() };
    assert!(webhook::update(&client, TenantId::DEFAULT, hook, None, &resume).await.unwrap());
    assert!(standing().await.is_live() && standing().await.failing_since.is_none());
    assert_eq!(tried(Tried { gone: true, again: None, ..AGAIN }).await, (Outcome::Failed, Some(Disabled::Gone)));
    assert_eq!(standing().await.disabled.map(|(_, why)| why), Some(Disabled::Gone));
}

/// Red when a tenant's messages under way are not counted, or those just taken.
#[tokio::test]
async fn a_tenant_with_many_webhooks_has_its_share() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let mut hooks = Vec::new();
    for _ in 0..3 {
        hooks.push(hook(&client, |_| {}).await);
        test(&client, *hooks.last().unwrap(), 5).await;
    }
    let shares = Shares { webhook: 4, tenant: 6 };
    let who = Uuid::now_v7();
    let take = async || webhook::claim(&client, &hooks, who, 100, shares, LEASE).await.unwrap();
    let first = take().await;
    assert_eq!(first.len(), 6, "of one call");
    assert!(take().await.is_empty(), "of another");
    record(&client, &first[0], who, &ARRIVED).await;
    assert_eq!(take().await.len(), 1);
    // Another tenant's have places of their own.
    client.batch_execute(OTHERS).await.unwrap();
    let taken = take().await;
    assert_eq!(taken.iter().filter(|claim| claim.webhook == hooks[2]).count(), 4);
}

/// Red when a place that frees always goes to the same.
#[tokio::test]
async fn two_busy_webhooks_of_a_tenant_do_not_keep_out_a_third() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let mut hooks = Vec::new();
    for _ in 0..3 {
        hooks.push(hook(&client, |_| {}).await);
        test(&client, *hooks.last().unwrap(), 60).await;
    }
    hooks.sort_unstable_by_key(|hook| hook.uuid());
    let (shares, who) = (Shares { webhook: 4, tenant: 8 }, Uuid::now_v7());
    let mut under_way = webhook::claim(&client, &hooks[..2], who, 100, shares, LEASE).await.unwrap();
    assert_eq!(under_way.len(), 8);
    for _ in 0..50 {
        record(&client, &under_way.remove(0), who, &ARRIVED).await;
        let taken = webhook::claim(&client, &hooks, who, 100, shares, LEASE).await.unwrap();
        if taken.iter().any(|claim| claim.webhook == hooks[2]) {
            return;
        }
        under_way.extend(taken);
    }
    panic!("the third had no turn in 50");
}

const OTHERS: &str = "INSERT INTO tenant (id, name) VALUES ('00000000-0000-0000-0000-0000000000aa', 'other');
  UPDATE webhook SET tenant_id = '00000000-0000-0000-0000-0000000000aa' WHERE id = (SELECT max(id::text)::uuid FROM webhook);
  UPDATE webhook_delivery SET claim = NULL, due_at = clock_timestamp()
   WHERE webhook_id = (SELECT max(id::text)::uuid FROM webhook) AND state = 'pending'";

/// Red when an outcome counts against a webhook that was changed meanwhile.
#[tokio::test]
async fn what_an_old_receiver_says_does_not_end_a_mended_webhook() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hook = hook(&client, |_| {}).await;
    test(&client, hook, 2).await;
    let (who, taken) = claim(&client, &[hook], 2, 2).await;
    let elsewhere = WebhookChange { url: Some("https://1.1.1.1/b".to_owned()), ..WebhookChange::default() };
    assert!(webhook::update(&client, TenantId::DEFAULT, hook, None, &elsewhere).await.unwrap());
    let gone = Tried { gone: true, again: None, ..AGAIN };
    assert_eq!(record(&client, &taken[0], who, &gone).await, (Outcome::Failed, None));
    assert_eq!(record(&client, &taken[1], who, &AGAIN).await, (Outcome::Retrying, None));
    let standing = webhook::find(&client, TenantId::DEFAULT, hook).await.unwrap().unwrap();
    assert!(standing.is_live() && standing.failing_since.is_none());
}

/// Red when a second rotation ends the secret that receivers have.
#[tokio::test]
async fn the_secret_that_receivers_have_outlives_rotations_that_got_lost() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hook = hook(&client, |_| {}).await;
    test(&client, hook, 1).await;
    let first = claim(&client, &[hook], 1, 1).await.1.remove(0).secret;
    let rotate = async |new: &[u8]| {
        assert!(webhook::rotate(&client, TenantId::DEFAULT, hook, new, LEASE).await.unwrap());
        client.batch_execute("UPDATE webhook_delivery SET due_at = clock_timestamp()").await.unwrap();
        let taken = claim(&client, &[hook], 1, 1).await.1.remove(0);
        (taken.secret, taken.old_secrets)
    };
    assert_eq!(rotate(b"second").await, (b"second".to_vec(), vec![first.clone()]));
    assert_eq!(rotate(b"third").await, (b"third".to_vec(), vec![b"second".to_vec(), first]));
    assert_eq!(rotate(b"fourth").await, (b"fourth".to_vec(), vec![b"third".to_vec(), b"second".to_vec()]));
    client.batch_execute("UPDATE webhook SET old_secret_until = clock_timestamp()").await.unwrap();
    assert_eq!(rotate(b"fifth").await, (b"fifth".to_vec(), vec![b"fourth".to_vec()]));
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_was_a_removed_webhooks() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hook = hook(&client, |_| {}).await;
    test(&client, hook, 4).await;
    let (who, taken) = claim(&client, &[hook], 2, 2).await;
    for claim in &taken {
        record(&client, claim, who, &ARRIVED).await;
    }
    let left = async || client.query_one("SELECT count(*) FROM webhook_delivery", &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(webhook::forget(&client, DAYS, 100).await.unwrap(), 0);
    client
        .batch_execute("UPDATE webhook_delivery SET ended_at = now() - interval '6 days' WHERE state = 'delivered'")
        .await
        .unwrap();
    assert_eq!(webhook::forget(&client, DAYS, 1).await.unwrap(), 1, "so many at a time");
    assert_eq!((webhook::forget(&client, DAYS, 100).await.unwrap(), left().await), (1, 2));
    // What was never taken goes too, in the end.
    client.batch_execute("UPDATE webhook_delivery SET created_at = now() - interval '15 days' WHERE id IN (SELECT id FROM webhook_delivery LIMIT 1)").await.unwrap();
    assert_eq!((webhook::forget(&client, DAYS, 100).await.unwrap(), left().await), (1, 1));
    assert!(webhook::delete(&client, TenantId::DEFAULT, hook).await.unwrap());
    assert!(claim(&client, &due(&client).await, 1, 1).await.1.is_empty());
    assert_eq!((left().await, due(&client).await), (0, Vec::new()));
}

/// Red when the look for webhooks reads their deliveries, or a claim sorts them.
#[tokio::test]
async fn a_look_and_a_claim_cost_the_same_however_many_wait() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let hooks = [hook(&client, |_| {}).await, hook(&client, |_| {}).await];
    let fill = "INSERT INTO webhook_delivery (webhook_id, event, due_at)
      SELECT $1, 'webhook.test', clock_timestamp() - n * interval '1 ms' FROM generate_series(1, 50000) n";
    for hook in hooks {
        client.execute(fill, &[&hook.uuid()]).await.unwrap();
    }
    for table in ["webhook_delivery", "webhook"] {
        client.batch_execute(&format!("VACUUM ANALYZE {table}")).await.unwrap();
    }
    let look = cost(&client, "SELECT * FROM dd_webhooks_pending_v1('00000000-0000-0000-0000-000000000000', 500)").await;
    assert!((look.rows - 2.0).abs() < 0.5 && look.pages < 100, "{look:?}");
    let take = format!(
        "SELECT * FROM dd_webhook_claim_v2('{{{},{}}}', gen_random_uuid(), 64, 8, 50, '1 min')",
        hooks[0], hooks[1]
    );
    let claimed = cost(&client, &take).await;
    assert!((claimed.rows - 16.0).abs() < 0.5 && claimed.pages < 1500, "{claimed:?}");
    let forget = cost(&client, "SELECT dd_webhook_forget_v1('7 days', 1000)").await;
    assert!(forget.pages < 100, "{forget:?}");
}

/// Red when the trigger is not that of one column: what starts a job would ask for webhooks too.
#[tokio::test]
async fn only_statements_that_may_end_something_look_for_webhooks() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let sql = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'webhook' AND tgattr::text = (
      SELECT attnum::text FROM pg_attribute WHERE attrelid = tgrelid AND attname = 'finished_at') ORDER BY 1";
    let tables: Vec<String> = client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(tables, ["batch", "job"]);
}
