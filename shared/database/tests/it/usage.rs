//! Usage: each job that ended counts once, whoever counts and however often, and after a restore.

use std::time::Duration;

use chrono::{NaiveDate, Utc};
use drydock_database::{
    Client, Database,
    job::{self, Finish, Finished},
    report::{Report, StoredTree},
    usage::{self, Counted, Days, Usage, UsageCursor, UsedTokens},
};
use drydock_domain::{JobId, Outcome, ProjectId, TenantId, agent::Tokens};

use crate::support::{Fleet, report, tree};

const T: TenantId = TenantId::DEFAULT;

/// Today, and yesterday where midnight came in between.
fn days() -> Days {
    let last = Utc::now().date_naive();
    Days { first: last.pred_opt().unwrap(), last }
}

async fn of_projects(client: &Client) -> Vec<(ProjectId, Usage)> {
    let page = usage::by_project(client, T, days(), UsageCursor::start(), 500).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|row| (row.of, row.usage)).collect()
}

async fn of_project(client: &Client, project: ProjectId) -> Usage {
    of_projects(client).await.into_iter().find(|(of, _)| *of == project).map_or_else(Usage::default, |(_, usage)| usage)
}

/// Waits for the transactions of other tests: they share the server, and no event counts while an older one is open.
async fn settled(client: &Client) {
    let unsettled = "SELECT EXISTS (SELECT FROM event WHERE xid >= pg_snapshot_xmin(pg_current_snapshot())
                                       AND xid < pg_snapshot_xmax(pg_current_snapshot()))";
    drydock_testing::until("all events are settled", Duration::from_secs(20), async || {
        let unsettled: bool = client.query_one(unsettled, &[]).await.unwrap().get(0);
        (!unsettled).then_some(())
    })
    .await;
}

/// Counts until nothing is left, `most` events at a time; how many jobs.
async fn count_all(client: &Client, most: i32) -> i32 {
    settled(client).await;
    count_settled(client, most).await
}

async fn count_settled(client: &Client, most: i32) -> i32 {
    let mut jobs = 0;
    loop {
        let counted = usage::count(client, most).await.unwrap();
        jobs += counted.jobs;
        if counted.events < most {
            return jobs;
        }
    }
}

/// A job that runs, its attempt begun `seconds` ago.
async fn begun(fleet: &Fleet, seconds: i32) -> (JobId, drydock_domain::AttemptId) {
    let (job, attempt) = fleet.running().await;
    let earlier = "UPDATE attempt SET started_at = clock_timestamp() - make_interval(secs => $2::int) WHERE id = $1";
    fleet.client.execute(earlier, &[&attempt.uuid(), &seconds]).await.unwrap();
    (job, attempt)
}

async fn ended(fleet: &Fleet, seconds: i32, outcome: Outcome) -> JobId {
    fleet.plain().await;
    let (job, attempt) = begun(fleet, seconds).await;
    fleet.finish(job, attempt, outcome, None).await;
    job
}

/// What the rows of a project's jobs say, by the test's own sum.
async fn expected(database: &Database, project: ProjectId) -> (i64, i64) {
    let sql =
        "SELECT count(*), coalesce(sum(round(extract(epoch FROM a.finished_at - a.started_at) * 1000))::bigint, 0)
                 FROM job j JOIN attempt a ON a.job_id = j.id WHERE j.project_id = $1 AND j.finished_at IS NOT NULL";
    let row = database.client().await.unwrap().query_one(sql, &[&project.uuid()]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn all_attempts_of_a_job_count_once_it_has_ended() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.accept(|job| job.retries = 1).await;
    let (_, first) = begun(&fleet, 90).await;
    fleet.finish(job, first, Outcome::Failed, None).await;
    assert_eq!((fleet.state(job).await, count_all(&fleet.client, 100).await), ("queued".to_owned(), 0));
    assert_eq!(of_projects(&fleet.client).await, [], "it has not ended");
    fleet.end_back_off(job).await;
    let (_, second) = begun(&fleet, 30).await;
    fleet.finish(job, second, Outcome::Succeeded, Some(&tree(7))).await;
    assert_eq!(count_all(&fleet.client, 100).await, 1);
    let used = of_project(&fleet.client, fleet.project).await;
    assert_eq!((used.completed, used.error, used.cancelled, used.attempts), (1, 0, 0, 2));
    assert!((120_000..180_000).contains(&used.slot_ms), "{used:?}");
    assert_eq!((used.attempts, used.slot_ms), expected(&database, fleet.project).await);
    assert_eq!(used.log_bytes, 6, "3 of each attempt's report");
    assert_eq!(count_all(&fleet.client, 100).await, 0);
    assert_eq!(of_project(&fleet.client, fleet.project).await, used);
}

#[tokio::test]
async fn tokens_of_all_attempts_count_once_however_often_they_are_told() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.accept(|job| job.retries = 1).await;
    let tell = async |outcome, tokens| {
        let (_, attempt) = fleet.running().await;
        let finish = Finish::new(job, attempt, outcome, Report { tokens: Some(tokens), ..report() });
        assert_eq!(job::finish(&fleet.client, &finish).await.unwrap(), Finished::Ok);
        assert_eq!(job::finish(&fleet.client, &finish).await.unwrap(), Finished::Already);
    };
    tell(Outcome::Failed, Tokens { input: 5, cached_input: 4, output: 3 }).await;
    fleet.end_back_off(job).await;
    tell(Outcome::Succeeded, Tokens { input: 10, cached_input: 0, output: 20 }).await;
    let shown = job::find(&fleet.client, T, job).await.unwrap().unwrap();
    let shown: Vec<_> = shown.attempts.iter().map(|attempt| attempt.tokens.map(|tokens| tokens.output)).collect();
    assert_eq!(shown, [Some(3), Some(20)]);
    let of_old_worker = ended(&fleet, 1, Outcome::Succeeded).await;
    let shown = job::find(&fleet.client, T, of_old_worker).await.unwrap().unwrap();
    assert_eq!(shown.attempts[0].tokens, None);
    let expected = UsedTokens { input: 15, cached_input: 4, output: 23 };
    assert_eq!(count_all(&fleet.client, 1).await, 2);
    assert_eq!(of_project(&fleet.client, fleet.project).await.tokens, expected);
    assert_eq!(count_all(&fleet.client, 100).await, 0);
    ended(&fleet, 1, Outcome::Failed).await;
    assert_eq!(count_all(&fleet.client, 100).await, 1);
    let days = usage::by_day(&fleet.client, T, days()).await.unwrap();
    assert_eq!(days.iter().map(|row| row.usage.tokens.output).sum::<i64>(), 23, "added to what was there");
    assert_eq!(of_project(&fleet.client, fleet.project).await.tokens, expected);
}

#[tokio::test]
async fn objects_count_for_who_uploads_them_first() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    for byte in [1, 2, 2] {
        let job = fleet.plain().await;
        let (_, attempt) = fleet.running().await;
        let tree = StoredTree { manifest_id: format!("{:02x}", byte + 100).repeat(32), ..tree(byte) };
        for (kind, id) in [("pack", &tree.packs[0].id), ("manifest", &tree.manifest_id)] {
            let sql = "SELECT dd_announce_v1($1, $2, decode($3, 'hex'), 10, $4)";
            fleet.client.query(sql, &[&T.uuid(), &kind, id, &attempt.uuid()]).await.unwrap();
        }
        let finish = Finish { tree: Some(tree), ..Finish::new(job, attempt, Outcome::Succeeded, report()) };
        assert_eq!(job::finish(&fleet.client, &finish).await.unwrap(), Finished::Ok);
    }
    count_all(&fleet.client, 100).await;
    let used = of_project(&fleet.client, fleet.project).await;
    assert_eq!((used.completed, used.stored_bytes), (3, 40), "the third has nothing new");
}

#[tokio::test]
async fn every_outcome_counts_by_project_and_day_and_a_job_that_never_ran_takes_no_slot() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let other = fleet.another_project(&database).await;
    ended(&fleet, 10, Outcome::Succeeded).await;
    ended(&fleet, 20, Outcome::Failed).await;
    let waiting = other.plain().await;
    job::cancel(&fleet.client, T, waiting, None).await.unwrap();
    assert_eq!(count_all(&fleet.client, 1).await, 3, "one event at a time");
    let all = of_projects(&fleet.client).await;
    assert_eq!(all.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [fleet.project, other.project], "most first");
    let (busy, idle) = (all[0].1, all[1].1);
    assert_eq!((busy.completed, busy.error, busy.cancelled, busy.attempts), (1, 1, 0, 2));
    assert_eq!((busy.attempts, busy.slot_ms), expected(&database, fleet.project).await);
    assert_eq!(idle, Usage { cancelled: 1, ..Usage::default() });
    let first = usage::by_project(&fleet.client, T, days(), UsageCursor::start(), 1).await.unwrap();
    let rest = usage::by_project(&fleet.client, T, days(), first.next.unwrap(), 1).await.unwrap();
    assert_eq!((rest.items[0].of, rest.next), (other.project, None));
    let by_day = usage::by_day(&fleet.client, T, days()).await.unwrap();
    assert_eq!(by_day.iter().map(|row| row.usage.slot_ms).sum::<i64>(), busy.slot_ms);
    let tenants = usage::by_tenant(&fleet.client, days(), UsageCursor::start(), 10).await.unwrap().items;
    assert_eq!((tenants.len(), tenants[0].of.clone()), (1, (T, Some("default".to_owned()))));
    assert_eq!(tenants[0].usage.cancelled, 1);
    let past = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
    let then = Days { first: past, last: past };
    assert_eq!(usage::by_day(&fleet.client, T, then).await.unwrap(), []);
    assert_eq!(usage::by_day(&fleet.client, TenantId::generate(), days()).await.unwrap(), []);
}

#[tokio::test]
async fn of_two_that_count_at_once_one_does_and_what_is_undone_is_counted_again() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    ended(&fleet, 10, Outcome::Succeeded).await;
    settled(&fleet.client).await;
    let mut one = database.client().await.unwrap();
    let transaction = one.transaction().await.unwrap();
    assert_eq!(usage::count(&transaction, 100).await.unwrap().jobs, 1);
    assert_eq!(usage::count(&fleet.client, 100).await.unwrap(), Counted::default(), "another one is at it");
    // It dies before its commit.
    transaction.rollback().await.unwrap();
    assert_eq!(of_projects(&fleet.client).await, []);
    assert_eq!(usage::count(&fleet.client, 100).await.unwrap().jobs, 1);
    let used = of_project(&fleet.client, fleet.project).await;
    assert_eq!((used.attempts, used.slot_ms), expected(&database, fleet.project).await);
}

#[tokio::test]
async fn what_commits_late_is_not_passed_over() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let other = fleet.another_project(&database).await;
    let (late, soon) = (fleet.plain().await, other.plain().await);
    let mut slow = database.client().await.unwrap();
    let transaction = slow.transaction().await.unwrap();
    job::cancel(&transaction, T, late, None).await.unwrap();
    job::cancel(&fleet.client, T, soon, None).await.unwrap();
    assert_eq!(count_settled(&fleet.client, 100).await, 0, "an older transaction is still open");
    transaction.commit().await.unwrap();
    assert_eq!(count_all(&fleet.client, 100).await, 2);
    assert_eq!(of_project(&fleet.client, fleet.project).await.cancelled, 1);
}

/// A dump keeps the transaction ids of events, and a new cluster starts at low ones: as if everything had happened far in the future.
#[tokio::test]
async fn after_a_restore_nothing_counts_twice_and_nothing_is_left_out() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let cancelled = async || {
        let job = fleet.plain().await;
        job::cancel(&fleet.client, T, job, None).await.unwrap();
    };
    for _ in 0..3 {
        cancelled().await;
    }
    assert_eq!(count_all(&fleet.client, 100).await, 3);
    // Two more are in the dump, not counted.
    cancelled().await;
    cancelled().await;
    for sql in [
        "UPDATE event SET xid = (xid::text::bigint + 1000000)::text::xid8",
        "UPDATE usage_cursor SET xid = (xid::text::bigint + 1000000)::text::xid8",
    ] {
        fleet.client.execute(sql, &[]).await.unwrap();
    }
    cancelled().await;
    assert_eq!(count_all(&fleet.client, 2).await, 3, "the two of the dump and the new one");
    cancelled().await;
    assert_eq!(count_all(&fleet.client, 2).await, 1);
    // The new cluster reaches the old ids.
    fleet.client.execute("UPDATE event SET xid = '5' WHERE xid > '1000000'", &[]).await.unwrap();
    fleet.client.execute("UPDATE usage_cursor SET xid = '0', event_id = 0", &[]).await.unwrap();
    cancelled().await;
    let floor: i64 = fleet.client.query_one("SELECT floor_id FROM usage_cursor", &[]).await.unwrap().get(0);
    assert!(floor > 0);
    let sql = "SELECT count(*) FROM event WHERE id > $1 AND data ->> 'status' = 'cancelled'";
    let above: i64 = fleet.client.query_one(sql, &[&floor]).await.unwrap().get(0);
    assert_eq!(i64::from(count_all(&fleet.client, 100).await), above, "what the dump brought is passed");
    assert_eq!(above, 3);
}
