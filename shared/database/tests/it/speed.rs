//! Figures, not verdicts: `cargo nextest run -p drydock-database --run-ignored only --no-capture speed`.

use std::time::Instant;

use drydock_database::{
    Database,
    job::{self, Claimed, Finish},
};
use drydock_domain::{AttemptId, Outcome, TenantId, Ticket};

use crate::{
    backlog::{accept, admit, cost, fill, projects},
    support::{Fleet, report},
};

#[tokio::test]
#[ignore = "measures; takes a minute"]
async fn speed_of_accept() {
    for many in [50, 200, 1000] {
        for clients in [1, 2, 4] {
            let database = drydock_testing::database().await;
            let client = database.client().await.unwrap();
            let projects = projects(&client, many).await;
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..clients {
                let (client, projects) = (database.client().await.unwrap(), projects.clone());
                tasks.spawn(async move {
                    for _ in 0..10 {
                        job::accept_all(&client, TenantId::DEFAULT, &accept(&projects, 1000)).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
            let jobs = f64::from(clients) * 10_000.0;
            println!("accept, {many} projects, {clients} clients: {:.0} jobs/s", jobs / began.elapsed().as_secs_f64());
        }
    }
}

#[tokio::test]
#[ignore = "measures; takes a minute"]
async fn speed_of_admit() {
    for (tenants, projects, jobs) in [(1, 1000, 1), (1000, 220_000, 1), (1000, 10_000, 100)] {
        let database = drydock_testing::database().await;
        let fleet = Fleet::new(&database).await;
        fleet.client.batch_execute("UPDATE worker SET slots = 100000").await.unwrap();
        let began = Instant::now();
        fill(&fleet.client, tenants, projects, jobs).await;
        let still = "UPDATE leader SET expires_at = now() + interval '1 h'; UPDATE worker SET lease_until = now() + interval '1 h'";
        fleet.client.batch_execute(still).await.unwrap();
        println!("{tenants} tenants, {projects} projects, {jobs} jobs each (made in {:?})", began.elapsed());
        for _ in 0..5 {
            let cost = cost(&fleet.client, &admit(fleet.term, 200)).await;
            println!("    admit 200: {} rows, {} pages, {:.1} ms", cost.rows, cost.pages, cost.ms);
        }
    }
}

#[tokio::test]
#[ignore = "measures; takes a minute"]
async fn speed_of_claim_and_finish() {
    const CLIENTS: usize = 4;
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fleet.client.batch_execute("UPDATE worker SET slots = 100000").await.unwrap();
    fill(&fleet.client, 1, 8000, 1).await;
    let mut tickets = Vec::new();
    while tickets.len() < 8000 {
        tickets.extend(job::admit(&fleet.client, fleet.term, 0, 1000).await.unwrap());
    }
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for share in tickets.chunks(tickets.len() / CLIENTS) {
        tasks.spawn(claim_all(database.clone(), share.to_vec(), fleet.worker));
    }
    let claimed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    println!("claim, {CLIENTS} clients: {:.0}/s", tickets.len() as f64 / began.elapsed().as_secs_f64());
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for share in claimed.chunks(claimed.len() / CLIENTS) {
        tasks.spawn(finish_all(database.clone(), share.to_vec()));
    }
    tasks.join_all().await;
    println!("finish, {CLIENTS} clients: {:.0}/s", claimed.len() as f64 / began.elapsed().as_secs_f64());
}

async fn claim_all(
    database: Database,
    tickets: Vec<Ticket>,
    worker: drydock_domain::WorkerId,
) -> Vec<(drydock_domain::JobId, AttemptId)> {
    let client = database.client().await.unwrap();
    let mut claimed = Vec::new();
    for ticket in tickets {
        let attempt = AttemptId::generate();
        let answer = job::claim(&client, &ticket, attempt, worker, "/scratch/x").await.unwrap();
        assert!(matches!(answer, Claimed::Mine(_)));
        claimed.push((ticket.job, attempt));
    }
    claimed
}

async fn finish_all(database: Database, attempts: Vec<(drydock_domain::JobId, AttemptId)>) {
    let client = database.client().await.unwrap();
    for (job, attempt) in attempts {
        let finish = Finish::new(job, attempt, Outcome::Succeeded, report());
        assert_eq!(job::finish(&client, &finish).await.unwrap(), job::Finished::Ok);
    }
}
