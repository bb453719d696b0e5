//! What the leases of a big fleet cost: simulated workers that renew every ten seconds over a few connections.

use std::time::Duration;

use anyhow::{Result, ensure};
use drydock_database::{Database, worker};
use drydock_domain::WorkerId;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep_until};

use super::{Arguments, Report, Servers, Stack};

const BAR: f64 = 25.0;
const CONNECTIONS: u16 = 20;
const INTERVAL: Duration = Duration::from_secs(10);
const TIME: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(60);
const REGISTER: &str = "INSERT INTO worker (id, instance, pool, slots, agents, isolation, rung, build, lease_until)
  SELECT md5('w' || n)::uuid, 'simulated-' || n, 'simulated', 4, '{dummy}', 'none', 'copy', 'none', now() + interval '60 s'
    FROM generate_series(1, $1) n RETURNING id";

pub(super) async fn phase(arguments: &Arguments, servers: &Servers, report: &mut Report) -> Result<()> {
    let mut stack = Stack::start().await?;
    stack.start_dispatcher();
    let rows = stack.sql().await?.query(REGISTER, &[&arguments.leases]).await?;
    let workers: Vec<WorkerId> = rows.iter().map(|row| row.get::<_, uuid::Uuid>(0).into()).collect();
    let before = servers.used(&stack)?;
    let began = Instant::now();
    let renewed: usize =
        try_join_all((0..CONNECTIONS).map(|lane| renew(stack.database.for_leases(), &workers, lane, began)))
            .await?
            .iter()
            .sum();
    let seconds = began.elapsed().as_secs_f64();
    let parts = servers.used(&stack)?.since(&before);
    let share = |wanted: &str| {
        parts.iter().find(|(name, _)| name == wanted).map_or(f64::NAN, |(_, time)| time.as_secs_f64() / seconds * 100.0)
    };
    let (postgres, dispatcher) = (share("postgres"), share("dispatcher"));
    report.line(&format!(
        "renewals  {} workers over {CONNECTIONS} connections, {:.0}/s for {seconds:.0} s: PostgreSQL {postgres:.1} %, dispatcher {dispatcher:.1} % of a core",
        workers.len(),
        renewed as f64 / seconds
    ));
    report.at_most("PostgreSQL and dispatcher, of one core", postgres + dispatcher, BAR, "%");
    Ok(())
}

/// Renews every `CONNECTIONS`th worker in turn, evenly over the interval; how many renewals were answered.
async fn renew(database: Database, workers: &[WorkerId], lane: u16, began: Instant) -> Result<usize> {
    let mine: Vec<WorkerId> = workers.iter().copied().skip(lane.into()).step_by(CONNECTIONS.into()).collect();
    let client = database.client().await?;
    let pause = INTERVAL.div_f64(mine.len() as f64);
    let mut count = 0;
    while began.elapsed() < TIME {
        sleep_until(began + pause.mul_f64(count as f64)).await;
        let worker = mine[count % mine.len()];
        let renewed = worker::renew(&client, worker, TTL, &[]).await?;
        ensure!(renewed.live, "worker {worker} was declared over");
        count += 1;
    }
    Ok(count)
}
