//! Tickets that get lost, stuck or held on the way from RabbitMQ to the workers: a man in the middle sees and does it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use drydock_testing::{Tap, setting, until};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    outages::at_host,
    stack::{
        Options, PATIENCE, Stack,
        client::{id, shell},
    },
};

/// What tickets need beyond the time they wait: the look for them, publishing, claiming, on a busy machine.
const CLAIM_TIME: Duration = Duration::from_secs(2);
/// Never, in the time of a test.
const NEVER: &str = "10m";

/// Two workers whose way to RabbitMQ is tapped.
async fn tapped(slots: u16, settings: &[(&'static str, &str)]) -> (Tap, Stack) {
    let url = setting("DRYDOCK_TEST_AMQP_URL");
    let (before, target, after) = at_host(&url);
    let tap = Tap::start(target.to_owned()).await;
    let worker_settings = vec![("DRYDOCK_AMQP_URL", format!("{before}{}{after}", tap.address()))];
    // Nothing but another ticket of the pool may help, unless the test says so.
    let alone = [("DRYDOCK_PULL_AFTER", NEVER), ("DRYDOCK_LOCALITY_WAIT", "0s")];
    let settings = alone.iter().chain(settings);
    let settings = settings.map(|(name, value)| (*name, (*value).to_owned())).collect();
    let stack = Stack::with(Options { slots: Some(slots), settings, worker_settings, ..Options::default() }).await;
    (tap, stack)
}

/// How often each job was dispatched, and how long after its acceptance it was claimed.
async fn starts(stack: &Stack) -> Vec<(i32, Duration)> {
    let client = stack.database.client().await.unwrap();
    let starts = "SELECT j.dispatch_seq, extract(epoch FROM a.started_at - j.created_at)::float8
        FROM job j JOIN attempt a ON a.job_id = j.id WHERE j.state = 'succeeded' AND j.attempts = 1";
    let rows = client.query(starts, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), Duration::from_secs_f64(row.get(1)))).collect()
}

async fn dispatches(stack: &Stack, job: &str) -> i32 {
    let client = stack.database.client().await.unwrap();
    let job = job.parse::<Uuid>().unwrap();
    client.query_one("SELECT dispatch_seq FROM job WHERE id = $1", &[&job]).await.unwrap().get(0)
}

fn only_worker(ended: &Value) -> String {
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!((&ended["status"], attempts.len()), (&json!("completed"), 1), "{ended}");
    attempts[0]["worker"].as_str().unwrap().to_owned()
}

/// Red when unclaimed tickets are not sent again (`unclaimed` in the dispatcher's loop set to ten minutes).
#[tokio::test(flavor = "multi_thread")]
async fn t07_of_lost_tickets_every_job_is_done_after_the_claim_timeout() {
    const JOBS: usize = 20;
    const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);
    let (tap, stack) = tapped(10, &[("DRYDOCK_CLAIM_TIMEOUT", "1s")]).await;
    tap.lose(3);
    for _ in 0..JOBS {
        let body = json!({"instruction": "an app on a lossy way"});
        let (status, body) = stack.client.send(reqwest::Method::POST, "/projects", Some(body)).await;
        assert_eq!(status, 201, "{body}");
    }
    let starts = until("every job is done at its first attempt", PATIENCE, || async {
        let starts = starts(&stack).await;
        (starts.len() == JOBS).then_some(starts)
    })
    .await;
    let again: u64 = starts.iter().map(|(seq, _)| u64::from((*seq - 1).unsigned_abs())).sum();
    assert!(tap.lost() >= 6 && again >= tap.lost(), "{} lost, {again} sent again", tap.lost());
    for (seq, delay) in starts {
        // The wait doubles each time; looks are a second apart.
        let waits = 2_u32.pow(seq.unsigned_abs() - 1) - 1;
        let most = CLAIM_TIMEOUT * waits + CLAIM_TIME * seq.unsigned_abs();
        assert!(delay <= most, "sent {seq} times and claimed after {delay:?}, more than {most:?}");
    }
}

/// Red when unclaimed tickets are not sent again, and when the man in the middle delivers the ticket after all.
#[tokio::test(flavor = "multi_thread")]
async fn t19_a_ticket_the_broker_keeps_for_a_worker_that_never_saw_it_is_sent_again() {
    let (tap, stack) = tapped(1, &[]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app whose ticket strands"})).await);
    tap.strand(1);
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    let ended = stack.client.ended(&job).await;
    let worker = only_worker(&ended);
    assert_eq!(
        (dispatches(&stack, &job).await, tap.stranded()),
        (2, 1),
        "the broker still waits for the first: {ended}"
    );
    // The consumer with the stranded ticket gets no other; the rest of the fleet does.
    for _ in 0..2 {
        assert_eq!(only_worker(&stack.client.run(&project, shell("true")).await), worker);
    }
    assert_eq!(tap.stranded(), 1);
}

/// Red when the pull is switched off in `Intake::consume`.
#[tokio::test(flavor = "multi_thread")]
async fn t19_a_worker_whose_only_consumer_is_stuck_pulls() {
    let (tap, stack) = tapped(1, &[("DRYDOCK_PULL_AFTER", "500ms"), ("DRYDOCK_CLAIM_TIMEOUT", NEVER)]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app whose tickets all strand"})).await);
    tap.strand(u32::MAX);
    for _ in 0..3 {
        only_worker(&stack.client.run(&project, shell("true")).await);
    }
    assert!(tap.stranded() > 0);
}

/// Runs until its file is there.
fn until_told(place: &Path, name: &str) -> String {
    let place = place.display();
    format!("touch {place}/{name}; while [ ! -e {place}/end ]; do sleep 0.02; done")
}

/// Red when the brake has no timeout, and when a full worker keeps its consumer after it (both in `Intake::take`).
#[tokio::test(flavor = "multi_thread")]
async fn t22_a_busy_worker_holds_no_ticket_and_others_take_them() {
    const BRAKE: Duration = Duration::from_secs(1);
    let (tap, stack) = tapped(1, &[("DRYDOCK_BRAKE_TIMEOUT", "1s"), ("DRYDOCK_CLAIM_TIMEOUT", NEVER)]).await;
    let mut projects = Vec::new();
    for _ in 0..2 {
        projects.push(id(&stack.client.project(json!({"instruction": "a busy app"})).await));
    }
    let mark = tempfile::tempdir().unwrap();
    let long = stack.client.submit(&projects[0], shell(&until_told(mark.path(), "on"))).await;
    stack.client.reaches(&long, "running").await;
    until("the busy worker lets its ticket go", PATIENCE, || async { (tap.held() == 0).then_some(()) }).await;
    let held = tap.longest_hold();
    assert!(held >= BRAKE / 2 && held < BRAKE + CLAIM_TIME, "held for {held:?}");
    let busy = stack.client.get(&format!("/jobs/{long}")).await["attempts"][0]["worker"].clone();
    for _ in 0..4 {
        let asked = Instant::now();
        let other = only_worker(&stack.client.run(&projects[1], shell("true")).await);
        assert_ne!(busy, json!(other));
        assert!(asked.elapsed() < BRAKE + CLAIM_TIME, "{:?}", asked.elapsed());
    }
    // Both busy for several times the setting: nobody holds anything, and with a slot there are consumers again.
    let other = stack.client.submit(&projects[1], shell(&until_told(mark.path(), "too"))).await;
    stack.client.reaches(&other, "running").await;
    until("both let their tickets go", PATIENCE, || async { (tap.held() == 0).then_some(()) }).await;
    tokio::time::sleep(BRAKE * 2).await;
    assert_eq!(tap.held(), 0);
    assert!(tap.longest_hold() < BRAKE + CLAIM_TIME, "held for {:?}", tap.longest_hold());
    fs_err::write(mark.path().join("end"), "").unwrap();
    for job in [&long, &other] {
        only_worker(&stack.client.ended(job).await);
    }
    assert_eq!(stack.client.run(&projects[0], shell("true")).await["status"], "completed");
}
