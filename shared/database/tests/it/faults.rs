//! Faults of the catalogue that end at the database, by their numbers: what each call answers when tickets are lost, doubled or
//! old, replies are lost, workers die, and two things happen at once.

use std::{collections::HashMap, time::Duration};

use drydock_database::{
    attempt,
    job::{self, Accepted, Canceled, Claimed, Finish, Finished, Idempotency, NewJob, Term},
    leader, log_chunk, worker,
};
use drydock_domain::{AttemptId, JobId, JobType, Outcome, TenantId, Ticket, WorkerId};
use drydock_testing::violations;
use uuid::Uuid;

use crate::support::{Fleet, TTL, describe, report, tree};

const NONE: [String; 0] = [];

async fn publish_again(fleet: &Fleet, term: Term) -> Vec<Ticket> {
    fleet.client.execute("UPDATE job SET dispatched_at = now() - interval '31 s'", &[]).await.unwrap();
    job::redispatch(&fleet.client, term, &[], Duration::from_secs(30), 100).await.unwrap()
}

/// Red when redispatch does not look at `dispatched_at`.
#[tokio::test]
async fn t03_what_was_admitted_and_never_published_is_sent_by_the_next_leader() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let lost = fleet.admit().await.remove(0);
    fleet.client.execute("UPDATE leader SET expires_at = now() - interval '1 s'", &[]).await.unwrap();
    let holder = Uuid::now_v7();
    let number = leader::lead(&fleet.client, holder, TTL).await.unwrap().unwrap();
    assert!(publish_again(&fleet, fleet.term).await.is_empty(), "the old leader is over");
    let [ticket] = &publish_again(&fleet, Term { holder, number }).await[..] else { panic!("one ticket") };
    assert_eq!((ticket.job, ticket.seq), (job, lost.seq + 1));
    assert!(matches!(fleet.claim(ticket).await.1, Claimed::Mine(_)));
    assert!(matches!(fleet.claim(&lost).await.1, Claimed::Stale), "one run");
}

/// Red when the claim does not look at the state.
#[tokio::test]
async fn t04_t05_a_ticket_published_twice_runs_once() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    let ticket = fleet.admit().await.remove(0);
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Mine(_)));
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Stale));
    assert_eq!(violations(&fleet.client).await, NONE);
}

/// Red when the claim does not look at `dispatch_seq`.
#[tokio::test]
async fn t08_old_tickets_are_refused_and_change_nothing() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let mut old = Vec::new();
    for round in 0..5 {
        let job = fleet.plain().await;
        let first = fleet.admit().await.remove(0);
        let second = publish_again(&fleet, fleet.term).await.remove(0);
        let (attempt, _) = fleet.claim(&second).await;
        fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(round))).await;
        old.extend([first, second]);
    }
    fleet.plain().await;
    let waiting = fleet.admit().await.remove(0);
    for seq in [waiting.seq - 1, waiting.seq + 1] {
        old.push(Ticket::new(waiting.job, seq, waiting.pool.clone(), waiting.priority));
    }
    let rows = "SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM job j";
    let before: String = fleet.client.query_one(rows, &[]).await.unwrap().get(0);
    for ticket in &old {
        assert!(matches!(fleet.claim(ticket).await.1, Claimed::Stale), "{ticket:?}");
    }
    assert_eq!(fleet.client.query_one(rows, &[]).await.unwrap().get::<_, String>(0), before);
}

/// Red when finish does not recognise its own earlier success.
#[tokio::test]
async fn t26_a_finish_whose_reply_was_lost_is_already_there() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    assert_eq!(attempt::reap(&fleet.client, attempt, Duration::ZERO).await.unwrap(), "moved_on");
    for _ in 0..3 {
        assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Already);
    }
    assert_eq!(fleet.head().await, 1, "one version");
}

/// Red when finish does not compare the current attempt; reversed, when reap does not.
#[tokio::test]
async fn t28_reap_and_finish_exclude_each_other() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    for reaped_first in [true, false] {
        worker::start(&fleet.client, &describe(WorkerId::generate(), "other"), TTL).await.unwrap();
        let worker = WorkerId::generate();
        worker::start(&fleet.client, &describe(worker, "frozen"), TTL).await.unwrap();
        let fleet = Fleet { worker, ..fleet.another_project(&database).await };
        let job = fleet.plain().await;
        let (_, attempt) = fleet.running().await;
        let overdue = "UPDATE worker SET lease_until = now() - interval '20 s' WHERE id = $1";
        fleet.client.execute(overdue, &[&worker.uuid()]).await.unwrap();
        let grace = Duration::from_secs(15);
        if reaped_first {
            assert_eq!(attempt::reap(&fleet.client, attempt, grace).await.unwrap(), "queued");
            let late = fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await;
            assert_eq!((late, fleet.head().await), (Finished::Fenced, 0));
            assert_eq!(job::cancel(&fleet.client, TenantId::DEFAULT, job, None).await.unwrap(), Canceled::Now);
        } else {
            assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
            assert_eq!(attempt::reap(&fleet.client, attempt, grace).await.unwrap(), "moved_on");
            assert_eq!(fleet.head().await, 1);
        }
        assert_eq!(violations(&fleet.client).await, NONE);
    }
}

/// Red when the losses are not counted, or the end does not hand the lane over.
#[tokio::test]
async fn t32_what_kills_three_workers_is_dead_with_its_last_words_and_the_lane_moves_on() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let neighbour = fleet.another_project(&database).await;
    let (bad, next, innocent) = (fleet.plain().await, fleet.plain().await, neighbour.plain().await);
    for state in ["queued", "queued", "dead"] {
        fleet.end_back_off(bad).await;
        let worker = WorkerId::generate();
        worker::start(&fleet.client, &describe(worker, "one"), TTL).await.unwrap();
        let mut attempts = HashMap::new();
        for ticket in fleet.admit().await {
            let attempt = AttemptId::generate();
            job::claim(&fleet.client, &ticket, attempt, worker, "/x").await.unwrap();
            attempts.insert(ticket.job, attempt);
        }
        let last_words = log_chunk::Body::Inline(b"out of memory");
        log_chunk::append(&fleet.client, attempts[&bad], 0, 0, last_words).await.unwrap();
        // The other job of the host is handed back without a fault.
        if let Some(attempt) = attempts.get(&innocent) {
            neighbour.finish(innocent, *attempt, Outcome::Interrupted, None).await;
        }
        worker::end(&fleet.client, worker).await.unwrap();
        assert_eq!(attempt::reap(&fleet.client, attempts[&bad], TTL).await.unwrap(), state);
    }
    let row = job::find(&fleet.client, TenantId::DEFAULT, bad).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.output.as_deref()), ("dead", Some("out of memory")));
    assert!(row.errors[0].contains("three workers were lost"), "{:?}", row.errors);
    assert_eq!((fleet.state(next).await, fleet.state(innocent).await), ("queued".into(), "queued".into()));
    let faults = "SELECT failures + losses + infra_faults FROM job WHERE id = $1";
    let faults: i32 = fleet.client.query_one(faults, &[&innocent.uuid()]).await.unwrap().get::<_, i16>(0).into();
    assert_eq!(faults, 0);
}

/// Red when the reaper does not look at `cancel_at`.
#[tokio::test]
async fn t38_a_cancelled_job_whose_worker_dies_ends_cancelled() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    assert_eq!(job::cancel(&fleet.client, TenantId::DEFAULT, job, Some("enough")).await.unwrap(), Canceled::Soon);
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    assert_eq!(attempt::reap(&fleet.client, attempt, TTL).await.unwrap(), "canceled");
    assert_eq!(violations(&fleet.client).await, NONE);
}

/// Red when any of the four does not recognise its earlier call.
#[tokio::test]
async fn t41_each_call_repeated_after_a_lost_reply_answers_the_same_and_acts_once() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let idempotency = Some(Idempotency { key: "k".to_owned(), fingerprint: [1; 32] });
    let new = || NewJob {
        idempotency: idempotency.clone(),
        ..NewJob::new(fleet.project, JobType::Edit, "t".to_owned(), "do it".to_owned())
    };
    let first = new();
    assert_eq!(job::accept(&fleet.client, TenantId::DEFAULT, &first).await.unwrap(), Accepted::New(first.id));
    for _ in 0..2 {
        let again = job::accept(&fleet.client, TenantId::DEFAULT, &new()).await.unwrap();
        assert_eq!(again, Accepted::Replayed(first.id));
    }
    let ticket = fleet.admit().await.remove(0);
    let attempt = AttemptId::generate();
    for _ in 0..3 {
        let claimed = job::claim(&fleet.client, &ticket, attempt, fleet.worker, "/x").await.unwrap();
        assert!(matches!(claimed, Claimed::Mine(claim) if claim.number == 1));
    }
    for _ in 0..3 {
        let canceled = job::cancel(&fleet.client, TenantId::DEFAULT, first.id, None).await.unwrap();
        assert_eq!(canceled, Canceled::Soon);
    }
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(fleet.finish(first.id, attempt, Outcome::Succeeded, Some(&tree(1))).await);
    }
    assert_eq!(answers, [Finished::Ok, Finished::Already, Finished::Already]);
    assert_eq!(job::cancel(&fleet.client, TenantId::DEFAULT, first.id, None).await.unwrap(), Canceled::Final);
    let rows =
        "SELECT count(*) || ' ' || (SELECT count(*) FROM attempt) || ' ' || (SELECT count(*) FROM version) FROM job";
    assert_eq!(fleet.client.query_one(rows, &[]).await.unwrap().get::<_, String>(0), "1 1 0");
}

/// Red without the comparison of head and base.
#[tokio::test]
async fn t53_a_version_made_meanwhile_is_a_conflict_and_the_line_stays_one() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let (_, attempt) = fleet.running().await;
    let sql = "WITH p AS (UPDATE project SET head_version = head_version + 1 WHERE id = $1 RETURNING id, head_version AS n)
      INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
      SELECT id, n, n - 1, $2, $2, '{}', 0, 0, 'user', id FROM p";
    fleet.client.execute(sql, &[&fleet.project.uuid(), &vec![9_u8; 32]]).await.unwrap();
    assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Conflict);
    let ticket = fleet.admit().await.remove(0);
    let (attempt, claimed) = fleet.claim(&ticket).await;
    let Claimed::Mine(claim) = claimed else { panic!("{claimed:?}") };
    assert_eq!(
        (claim.base_version, claim.base.map(|base| base.manifest)),
        (1, Some([9; 32])),
        "it starts from the new head"
    );
    assert_eq!(fleet.finish(job, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
    assert_eq!((fleet.head().await, violations(&fleet.client).await), (2, NONE.to_vec()));
}

/// Red when admit and redispatch do not ask who leads.
#[tokio::test]
async fn t55_who_led_before_is_refused() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let frozen = fleet.term;
    fleet.client.execute("UPDATE leader SET expires_at = now() - interval '1 s'", &[]).await.unwrap();
    let holder = Uuid::now_v7();
    let number = leader::lead(&fleet.client, holder, TTL).await.unwrap().unwrap();
    assert_eq!(leader::lead(&fleet.client, frozen.holder, TTL).await.unwrap(), None);
    assert!(job::admit(&fleet.client, frozen, 0, 100, &[]).await.unwrap().is_empty());
    let term = Term { holder, number };
    let ticket = job::admit(&fleet.client, term, 0, 100, &[]).await.unwrap().remove(0).ticket;
    assert!(job::redispatch(&fleet.client, frozen, &[job], TTL, 100).await.unwrap().is_empty());
    assert!(matches!(fleet.claim(&ticket).await.1, Claimed::Mine(_)), "its ticket is still the newest");
}

/// The same holder, a term later, is another leader: red without the term in `dd_leads_v1`.
#[tokio::test]
async fn t55_a_term_is_not_only_its_holder() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.plain().await;
    let older = Term { number: fleet.term.number - 1, ..fleet.term };
    assert!(job::admit(&fleet.client, older, 0, 100, &[]).await.unwrap().is_empty());
    assert_eq!(fleet.admit().await.len(), 1);
}

/// A finish as a worker repeats it.
pub(crate) fn success(job: JobId, attempt: AttemptId) -> Finish {
    Finish { tree: Some(tree(1)), ..Finish::new(job, attempt, Outcome::Succeeded, report()) }
}
