//! Sessions: jobs with a place that is told, an end that is asked for, and no second start.

use std::time::Duration;

use drydock_database::{
    job::{self, Accepted, Claimed, Finished},
    page::Cursor,
    session::{self, GaveUp, NewSession, Released, SessionFilter, SessionRow, SessionStatus},
    worker,
};
use drydock_domain::{AttemptId, JobId, JobState, JobType, Outcome, TenantId, WorkerId};

use crate::support::{Fleet, TTL, describe, tree};

const TENANT: TenantId = TenantId::DEFAULT;
const URL: Option<&str> = Some("http://worker-1:4000/");

/// A worker with a server, and places for `slots` sessions.
async fn serving(fleet: &mut Fleet, slots: i32) {
    let id = WorkerId::generate();
    let mut new = describe(id, "serving");
    new.agents.push(session::agent_of("preview"));
    new.session_slots = slots;
    worker::start(&fleet.client, &new, TTL).await.unwrap();
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    fleet.worker = id;
}

fn new(fleet: &Fleet) -> NewSession {
    NewSession {
        project: fleet.project,
        server: "preview".to_owned(),
        read_only: false,
        idle_timeout_s: Some(60),
        queue_timeout_s: 30,
        patience: Duration::from_secs(60),
        idempotency: None,
    }
}

async fn start(fleet: &Fleet, new: &NewSession) -> JobId {
    match session::start(&fleet.client, TENANT, new).await.unwrap() {
        Accepted::New(id) => id,
        other => panic!("{other:?}"),
    }
}

/// A session that its worker told is ready.
async fn ready(fleet: &Fleet) -> (JobId, AttemptId) {
    start(fleet, &new(fleet)).await;
    let (id, attempt) = fleet.running().await;
    assert!(session::ready(&fleet.client, attempt, ("worker-1", 4000), URL).await.unwrap());
    (id, attempt)
}

async fn find(fleet: &Fleet, id: JobId) -> SessionRow {
    session::find(&fleet.client, TENANT, id).await.unwrap().unwrap()
}

async fn preview_url(fleet: &Fleet) -> Option<String> {
    let sql = "SELECT preview_url FROM project WHERE id = $1";
    fleet.client.query_one(sql, &[&fleet.project.uuid()]).await.unwrap().get(0)
}

async fn live(fleet: &Fleet) -> Vec<JobId> {
    let page = session::list(&fleet.client, TENANT, SessionFilter::default(), Cursor::start(), 10).await.unwrap();
    page.items.into_iter().map(|row| row.id).collect()
}

/// Red when the trigger leaves the address with the project, and when the fencing is left out of `dd_session_ready_v1`.
#[tokio::test]
async fn a_session_is_told_of_by_its_attempt_alone_and_its_end_takes_the_address_back() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    let id = start(&fleet, &new(&fleet)).await;
    let waiting = find(&fleet, id).await;
    assert_eq!((waiting.status, waiting.host, waiting.worker), (SessionStatus::Starting, None, None));
    let (job, attempt) = fleet.running().await;
    assert_eq!(job, id);
    let plan = session::plan(&fleet.client, id).await.unwrap().unwrap();
    assert_eq!((plan.server.as_str(), plan.idle_timeout_s), ("preview", Some(60)));
    let tell = async |attempt| session::ready(&fleet.client, attempt, ("worker-1", 4000), URL).await.unwrap();
    assert!(!tell(AttemptId::generate()).await, "somebody else's");
    assert!(tell(attempt).await);
    assert!(tell(attempt).await, "an answer that got lost is asked for again");
    let row = find(&fleet, id).await;
    assert_eq!((row.status, row.host.as_deref(), row.port), (SessionStatus::Ready, Some("worker-1"), Some(4000)));
    assert_eq!(row.worker.as_deref(), Some("serving"));
    assert_eq!(preview_url(&fleet).await.as_deref(), URL);
    assert_eq!(live(&fleet).await, [id]);

    assert_eq!(session::release(&fleet.client, TENANT, id).await.unwrap(), Released::Soon);
    assert_eq!(find(&fleet, id).await.status, SessionStatus::Releasing);
    assert_eq!(job::cancelling(&fleet.client).await.unwrap(), [fleet.worker], "its worker is told");
    let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &[]).await.unwrap();
    assert_eq!((renewed.owned, renewed.released), (vec![(attempt, false)], vec![attempt]));
    assert_eq!(fleet.finish(id, attempt, Outcome::Succeeded, Some(&tree(1))).await, Finished::Ok);
    let over = find(&fleet, id).await;
    assert_eq!(
        (over.status, over.version, over.host.as_deref()),
        (SessionStatus::Terminated, Some(1), Some("worker-1"))
    );
    assert_eq!(preview_url(&fleet).await, None);
    assert_eq!(live(&fleet).await, []);
    let all = SessionFilter { ended: true, ..SessionFilter::default() };
    assert_eq!(session::list(&fleet.client, TENANT, all, Cursor::start(), 10).await.unwrap().items.len(), 1);
    assert_eq!(session::release(&fleet.client, TENANT, id).await.unwrap(), Released::Gone);
    assert!(job::cancelling(&fleet.client).await.unwrap().is_empty());
    assert!(!tell(attempt).await, "it is over");
}

/// Red when `dd_session_ready_v1` does not look at `cancel_at`.
#[tokio::test]
async fn a_session_that_is_to_be_cancelled_is_not_told_of() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    start(&fleet, &new(&fleet)).await;
    let (id, attempt) = fleet.running().await;
    assert_eq!(session::release(&fleet.client, TENANT, id).await.unwrap(), Released::Soon);
    assert!(!session::ready(&fleet.client, attempt, ("worker-1", 4000), URL).await.unwrap());
    assert_eq!((find(&fleet, id).await.status, preview_url(&fleet).await), (SessionStatus::Releasing, None));
}

/// Red when a ready session may be claimed again, when its expiry is left out, and when the trigger waits for the job's end.
#[tokio::test]
async fn a_ready_session_that_lost_its_worker_is_over_and_frees_its_lane() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    let (id, attempt) = ready(&fleet).await;
    let behind = fleet.plain().await;
    worker::end(&fleet.client, fleet.worker).await.unwrap();
    let lost = drydock_database::attempt::reap(&fleet.client, attempt, Duration::ZERO).await.unwrap();
    assert_eq!(lost, "queued");
    assert_eq!((find(&fleet, id).await.status, preview_url(&fleet).await), (SessionStatus::Failed, None));
    assert_eq!(live(&fleet).await, []);

    // Its job may be offered once more, and is nobody's.
    serving(&mut fleet, 1).await;
    let tickets = fleet.admit().await;
    assert!(matches!(fleet.claim(&tickets[0]).await.1, Claimed::Stale));
    assert_eq!(job::end_waits(&fleet.client, 10).await.unwrap().expired, 1);
    let row = find(&fleet, id).await;
    assert_eq!((row.job_state, row.failure_kind.as_deref()), (JobState::Failed, Some("lost")));
    assert_eq!(row.errors, ["the session was lost with its attempt, and is not started again"]);
    assert_eq!(fleet.state(behind).await, "queued");
}

#[tokio::test]
async fn a_session_that_is_not_ready_is_started_again_after_a_fault_and_waits_no_longer_than_it_was_to() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    let id = start(&fleet, &new(&fleet)).await;
    let (_, attempt) = fleet.running().await;
    fleet.finish(id, attempt, Outcome::Infra, None).await;
    assert_eq!(find(&fleet, id).await.status, SessionStatus::Starting);
    fleet.end_back_off(id).await;
    let (_, attempt) = fleet.running().await;
    fleet.finish(id, attempt, Outcome::Infra, None).await;
    fleet.client.execute("UPDATE job SET expires_at = now() WHERE id = $1", &[&id.uuid()]).await.unwrap();
    job::end_waits(&fleet.client, 10).await.unwrap();
    let row = find(&fleet, id).await;
    assert_eq!((row.status, row.failure_kind.as_deref()), (SessionStatus::Failed, Some("queue_timeout")));
    assert_eq!(row.errors, ["not started within 30 s"]);
}

/// Red when the claim does not count sessions.
#[tokio::test]
async fn a_worker_takes_no_more_sessions_than_it_has_places_for() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    let room =
        async |fleet: &Fleet| session::room(&fleet.client, TENANT, fleet.project, "preview", None).await.unwrap();
    assert!(room(&fleet).await.free);
    ready(&fleet).await;
    let other = fleet.another_project(&database).await;
    let seen = room(&other).await;
    assert_eq!((seen.project, seen.free, seen.servers), (true, false, vec!["preview".to_owned()]));
    start(&other, &new(&other)).await;
    let tickets = other.admit().await;
    assert!(matches!(other.claim(&tickets[0]).await.1, Claimed::Unsuited));
    job::return_ticket(&other.client, &tickets[0], Duration::ZERO).await.unwrap();
    let edit = other.accept(|job| job.job_type = JobType::Edit).await;
    assert_eq!(other.state(edit).await, "pending", "the session heads its lane");
    let third = fleet.another_project(&database).await;
    third.plain().await;
    let taken = third.admit().await.into_iter().map(|ticket| ticket.job).collect::<Vec<_>>();
    assert!(!taken.is_empty(), "jobs are admitted beside it");
}

/// Red when giving up leaves the key, and when it ends a session that became ready.
#[tokio::test]
async fn one_that_nobody_waits_for_goes_with_its_key_unless_it_is_ready() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 1).await;
    let keyed = || NewSession {
        idempotency: Some(job::Idempotency { key: "k".to_owned(), fingerprint: [7; 32] }),
        ..new(&fleet)
    };
    let first = start(&fleet, &keyed()).await;
    let replayed = session::start(&fleet.client, TENANT, &keyed()).await.unwrap();
    assert_eq!(replayed, Accepted::Replayed(first));
    let gave_up = session::give_up(&fleet.client, TENANT, first, Some("k"), "one waits no more").await.unwrap();
    assert_eq!((gave_up, find(&fleet, first).await.status), (GaveUp::Waited, SessionStatus::Starting));
    let gave_up = session::give_up(&fleet.client, TENANT, first, Some("k"), "nobody waits").await.unwrap();
    assert_eq!(gave_up, GaveUp::Over(job::Canceled::Now));
    assert_eq!(find(&fleet, first).await.status, SessionStatus::Terminated);
    let second = start(&fleet, &keyed()).await;
    assert_ne!(first, second);
    let (_, attempt) = fleet.running().await;
    session::ready(&fleet.client, attempt, ("h", 1), None).await.unwrap();
    let gave_up = session::give_up(&fleet.client, TENANT, second, Some("k"), "nobody waits").await.unwrap();
    assert_eq!((gave_up, find(&fleet, second).await.status), (GaveUp::Ready, SessionStatus::Ready));
}

/// Red when a session stays that nobody was told of, and when one goes that somebody was told of or waits for.
#[tokio::test]
async fn what_nobody_waits_for_and_nobody_was_told_of_is_ended_by_the_leader() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 2).await;
    let silent = || NewSession { patience: Duration::ZERO, read_only: true, ..new(&fleet) };
    let ready = async |told: bool| {
        let id = start(&fleet, &silent()).await;
        let (_, attempt) = fleet.running().await;
        session::ready(&fleet.client, attempt, ("h", 1), None).await.unwrap();
        if told {
            session::told(&fleet.client, id).await.unwrap();
        }
        id
    };
    let (told, untold) = (ready(true).await, ready(false).await);
    let keyed =
        NewSession { idempotency: Some(job::Idempotency { key: "k".to_owned(), fingerprint: [7; 32] }), ..silent() };
    let waiting = start(&fleet, &keyed).await;
    session::want(&fleet.client, waiting, Duration::from_secs(60)).await.unwrap();
    let status = async |id| find(&fleet, id).await.status;
    assert_eq!(session::end_unwanted(&fleet.client, 9).await.unwrap(), 1);
    assert_eq!(
        [status(told).await, status(untold).await, status(waiting).await],
        [SessionStatus::Ready, SessionStatus::Releasing, SessionStatus::Starting]
    );
    session::want(&fleet.client, waiting, Duration::ZERO).await.unwrap();
    assert_eq!(session::end_unwanted(&fleet.client, 9).await.unwrap(), 1);
    assert_eq!(status(waiting).await, SessionStatus::Terminated);
    assert_ne!(start(&fleet, &keyed).await, waiting, "its key is free");
}

#[tokio::test]
async fn what_is_another_tenants_or_not_ready_is_released_as_what_it_is() {
    let database = drydock_testing::database().await;
    let mut fleet = Fleet::new(&database).await;
    serving(&mut fleet, 2).await;
    let id = start(&fleet, &new(&fleet)).await;
    let stranger = TenantId::generate();
    assert!(session::find(&fleet.client, stranger, id).await.unwrap().is_none());
    assert_eq!(session::release(&fleet.client, stranger, id).await.unwrap(), Released::NoSession);
    let plain = fleet.plain().await;
    assert_eq!(session::release(&fleet.client, TENANT, plain).await.unwrap(), Released::NoSession, "a job is none");
    assert_eq!(session::release(&fleet.client, TENANT, id).await.unwrap(), Released::Now);
    assert_eq!(find(&fleet, id).await.status, SessionStatus::Terminated);
    let (job, attempt) = fleet.running().await;
    assert_eq!(job, plain);
    fleet.finish(plain, attempt, Outcome::Succeeded, None).await;

    let second = start(&fleet, &new(&fleet)).await;
    let (_, attempt) = fleet.running().await;
    assert_eq!(session::release(&fleet.client, TENANT, second).await.unwrap(), Released::Soon);
    let renewed = worker::renew(&fleet.client, fleet.worker, TTL, &[]).await.unwrap();
    assert_eq!((renewed.owned, renewed.released), (vec![(attempt, true)], vec![]), "it has nothing to keep");
    fleet.finish(second, attempt, Outcome::Canceled, None).await;
    assert_eq!(find(&fleet, second).await.status, SessionStatus::Terminated);
}
