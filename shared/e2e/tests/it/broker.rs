//! A RabbitMQ that takes no messages, and one that gives a ticket up. Each test has a server of its own.

use std::time::{Duration, Instant};

use drydock_domain::Ticket;
use drydock_queue::Publisher;
use drydock_testing::until;
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stack::{
    Options, PATIENCE, Stack,
    broker::PrivateBroker,
    client::{id, shell},
};

/// Never, in the time of a test.
const NEVER: &str = "10m";
/// Stopping takes at most the two seconds of a polite good-bye, on a busy machine.
const STOP: Duration = Duration::from_secs(8);

async fn stack_on(broker: &PrivateBroker, workers: usize, more: &[(&'static str, &str)]) -> Stack {
    let settings = [
        ("DRYDOCK_AMQP_URL", broker.url()),
        ("DRYDOCK_AMQP_TIMEOUT", "1s"),
        ("DRYDOCK_LEASE_TTL", "60s"),
        // Nothing but a ticket may bring a job to a worker, and nothing but what is tested another ticket.
        ("DRYDOCK_PULL_AFTER", NEVER),
        ("DRYDOCK_CLAIM_TIMEOUT", NEVER),
        ("DRYDOCK_LOCALITY_WAIT", "0s"),
    ];
    let settings = settings.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Stack::with(Options { workers: Some(workers), settings, ..Options::default() }).await
}

fn done_at_once(ended: &Value) {
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!((&ended["status"], attempts.len()), (&json!("completed"), 1), "{ended}");
}

async fn relay_is(stack: &Stack, up: bool) {
    let what = if up { "the relay is up again" } else { "the relay pauses" };
    until(what, PATIENCE, || async {
        let value = stack.dispatchers_say("drydock_dispatcher_relay_up").await?;
        ((value > 0.5) == up).then_some(())
    })
    .await;
}

async fn three_projects(stack: &Stack) -> [String; 3] {
    let mut projects = Vec::new();
    for _ in 0..3 {
        projects.push(id(&stack.client.project(json!({"instruction": "an app through an alarm"})).await));
    }
    projects.try_into().unwrap()
}

/// A job that ends although there is an alarm; else what the services said.
async fn ends(stack: &Stack, job: &str) -> Value {
    let ended = tokio::time::timeout(PATIENCE / 2, stack.client.ended(job)).await;
    ended.unwrap_or_else(|_| panic!("job {job} does not end during the alarm: {}", stack.process_logs()))
}

/// One alarm from its rise to its end.
async fn through_alarm(broker: &PrivateBroker, raise: &[&str], clear: &[&str]) {
    let mut stack = stack_on(broker, 1, &[]).await;
    let [first, second, third] = three_projects(&stack).await;
    // Two tickets on their way to a worker that does not look: the second comes only when the first is acknowledged.
    stack.workers[0].signal(Signal::STOP);
    let confirmed = "drydock_amqp_tickets_confirmed_total";
    let before = stack.dispatchers_say(confirmed).await.unwrap();
    let mut jobs = Vec::new();
    for project in [&first, &second] {
        jobs.push(stack.client.submit(project, shell("echo x > x.txt")).await);
        stack.client.reaches(jobs.last().unwrap(), "dispatched").await;
    }
    // A job is dispatched before its ticket is out, and an alarm in between would keep it in.
    until("both tickets are out", PATIENCE, || async {
        (stack.dispatchers_say(confirmed).await? >= before + 2.0).then_some(())
    })
    .await;
    broker.control(raise).await;
    stack.workers[0].signal(Signal::CONT);
    for job in &jobs {
        done_at_once(&ends(&stack, job).await);
    }
    let waiting = stack.client.submit(&third, shell("echo x > x.txt")).await;
    relay_is(&stack, false).await;
    for process in stack.dispatchers.iter_mut().chain(&mut stack.workers) {
        process.signal(Signal::TERM);
        let asked = Instant::now();
        assert!(process.ended().await.success());
        assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
        process.restart();
    }
    relay_is(&stack, false).await;
    let shown = stack.client.get(&format!("/jobs/{waiting}")).await;
    assert_eq!(shown["attempts"], json!([]), "{shown}");
    broker.control(clear).await;
    done_at_once(&stack.client.ended(&waiting).await);
    relay_is(&stack, true).await;
}

/// Red without an alarm, and when a leader looks only once, at the start of its term, for what the one before it dispatched in
/// its last moments.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "on a busy machine a job sometimes does not end during the alarm, for a reason not found yet: see faults.md"]
async fn t13_t14_through_a_memory_or_disk_alarm_consumers_go_on_and_the_relay_pauses_and_resumes() {
    let broker = PrivateBroker::start().await;
    let memory = "set_vm_memory_high_watermark";
    through_alarm(&broker, &[memory, "0"], &[memory, "absolute", "512MiB"]).await;
    through_alarm(&broker, &["set_disk_free_limit", "1000000GB"], &["set_disk_free_limit", "200MB"]).await;
}

/// Red when a new leader sends tickets again before it knows that the broker takes them: the old ones are void then.
#[tokio::test(flavor = "multi_thread")]
async fn t13_a_leader_that_comes_during_an_alarm_voids_no_ticket() {
    let broker = PrivateBroker::start().await;
    let mut stack = stack_on(&broker, 1, &[("DRYDOCK_LEAD_TTL", "1s")]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app through an alarm"})).await);
    stack.workers[0].signal(Signal::STOP);
    let confirmed = "drydock_amqp_tickets_confirmed_total";
    let before = stack.dispatchers_say(confirmed).await.unwrap();
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    until("its ticket is out", PATIENCE, || async {
        (stack.dispatchers_say(confirmed).await? >= before + 1.0).then_some(())
    })
    .await;
    broker.control(&["set_vm_memory_high_watermark", "0"]).await;
    let leader = stack.leader().await;
    stack.dispatchers[leader].kill();
    until("another leads, and has asked the broker", PATIENCE, || async {
        let says = async |series| stack.dispatcher_says(1 - leader, series).await;
        let (leads, up) = (says("drydock_dispatcher_leader").await?, says("drydock_dispatcher_relay_up").await?);
        (leads > 0.5 && up < 0.5).then_some(())
    })
    .await;
    // Longer than what a new leader leaves to the one before it.
    let inherited = Instant::now() + Duration::from_secs(3);
    until("it has looked at what it inherited", PATIENCE, || async { (Instant::now() > inherited).then_some(()) })
        .await;
    stack.workers[0].signal(Signal::CONT);
    done_at_once(&ends(&stack, &job).await);
    broker.control(&["set_vm_memory_high_watermark", "absolute", "512MiB"]).await;
}

async fn consumers(broker: &PrivateBroker, count: u32) {
    until("so many workers consume", PATIENCE, || async {
        let queues = broker.control(&["list_queues", "--quiet", "--no-table-headers", "name", "consumers"]).await;
        let wanted = format!("\t{count}");
        queues.lines().any(|line| line.starts_with("dd.pool.") && line.ends_with(&wanted)).then_some(())
    })
    .await;
}

/// Red when the dispatcher's loop `dead` is not started.
#[tokio::test(flavor = "multi_thread")]
async fn t21_a_ticket_given_up_for_its_workers_deaths_is_told_and_its_job_is_queued_again() {
    let broker = PrivateBroker::start().await;
    let policy = r#"{"delivery-limit": 1, "dead-letter-exchange": "dd.dlx"}"#;
    broker.control(&["set_policy", "--apply-to", "queues", "dd-pool", r"^dd\.pool\.", policy]).await;
    // A worker that is stopped answers no heartbeat; the broker itself wants one a minute at least, and waits for two.
    let mut stack = stack_on(&broker, 2, &[("DRYDOCK_AMQP_HEARTBEAT", NEVER)]).await;
    let project = id(&stack.client.project(json!({"instruction": "an app whose ticket kills"})).await);
    // As seen by the broker: whoever gets this ticket dies before it can claim. One that is stopped sooner takes none.
    consumers(&broker, 2).await;
    for worker in &stack.workers {
        worker.signal(Signal::STOP);
    }
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    stack.client.reaches(&job, "dispatched").await;
    stack.workers[0].kill();
    // The other has it now, if it had not before: it dies holding it, and so does the next.
    consumers(&broker, 1).await;
    stack.workers[0].restart();
    consumers(&broker, 2).await;
    stack.workers[0].signal(Signal::STOP);
    stack.workers[1].kill();
    consumers(&broker, 1).await;
    stack.workers[0].kill();
    let counted = "drydock_dispatcher_dead_letters_total{reason=\"delivery_limit\"}";
    until("it is counted", PATIENCE, || async { (stack.dispatchers_say(counted).await? > 0.5).then_some(()) }).await;
    let told = |line: &str| {
        let gave_up = line.contains("RabbitMQ gave up a ticket and its job is queued again");
        gave_up && line.contains(&job) && line.contains("delivery_limit")
    };
    until("it is told", PATIENCE, || async { stack.process_logs().lines().any(told).then_some(()) }).await;
    stack.workers[0].restart();
    done_at_once(&stack.client.ended(&job).await);
    let client = stack.database.client().await.unwrap();
    let counts = "SELECT dispatch_seq, losses FROM job WHERE id = $1";
    let row = client.query_one(counts, &[&job.parse::<Uuid>().unwrap()]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i16>(1)), (2, 0), "no attempt was made, none was lost");
    // One of a job that is over: told, and without effect. Its queue is made after the policy: one that is there takes a
    // policy some time after the command is done, and messages that came before it never expire.
    let policy = r#"{"message-ttl": 50, "dead-letter-exchange": "dd.dlx"}"#;
    broker
        .control(&["set_policy", "--apply-to", "queues", "--priority", "1", "dd-late", r"^dd\.pool\.late\.", policy])
        .await;
    broker.client().subscribe("late", 1).await.unwrap().close().await;
    let late = Ticket::new(job.parse().unwrap(), 2, "late".to_owned(), 0);
    let mut publisher = Publisher::new(broker.client());
    assert_eq!(publisher.publish(vec![late]).await.confirmed.len(), 1);
    publisher.disconnect().await;
    let counted = "drydock_dispatcher_dead_letters_total{reason=\"expired\"}";
    until("it is counted", PATIENCE, || async { (stack.dispatchers_say(counted).await? > 0.5).then_some(()) }).await;
    let told = |line: &str| {
        let moved_on = line.contains("RabbitMQ gave up a ticket and its job had moved on");
        moved_on && line.contains(&job) && line.contains("expired")
    };
    until("it is told", PATIENCE, || async { stack.process_logs().lines().any(told).then_some(()) }).await;
    assert_eq!(stack.client.get(&format!("/jobs/{job}")).await["status"], "completed");
}
