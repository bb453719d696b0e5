//! Shares between tenants, and the cost of deciding.

use std::collections::HashMap;

use drydock_database::Client;
use drydock_domain::Ticket;
use uuid::Uuid;

use crate::{
    backlog::{admit, cost, fill},
    support::Fleet,
};

/// More slots than any test fills, and a lead that outlasts slow set-up.
async fn open_wide(client: &Client) {
    let sql = "UPDATE worker SET slots = 100000, lease_until = now() + interval '1 h'; UPDATE leader SET expires_at = now() + interval '1 h'";
    client.batch_execute(sql).await.unwrap();
}

async fn by_tenant(client: &Client, tickets: &[Ticket]) -> HashMap<String, usize> {
    let jobs: Vec<Uuid> = tickets.iter().map(|ticket| ticket.job.uuid()).collect();
    let sql = "SELECT t.name, count(*) FROM job j JOIN tenant t ON t.id = j.tenant_id WHERE j.id = ANY ($1) GROUP BY 1";
    let rows = client.query(sql, &[&jobs]).await.unwrap();
    rows.iter().map(|row| (row.get(0), usize::try_from(row.get::<_, i64>(1)).unwrap())).collect()
}

/// T-60, by slots: red without the weight.
#[tokio::test]
async fn t60_slots_are_shared_by_weight_and_under_each_tenants_cap() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    fill(&fleet.client, 3, 600, 1).await;
    open_wide(&fleet.client).await;
    let weights =
        "UPDATE tenant SET weight = 3 WHERE name = 'many 2'; UPDATE tenant SET max_running = 7 WHERE name = 'many 3'";
    fleet.client.batch_execute(weights).await.unwrap();
    let mut total: HashMap<String, usize> = HashMap::new();
    for _ in 0..5 {
        let tickets = fleet.admit_most(20).await;
        assert_eq!(tickets.len(), 20);
        for (tenant, share) in by_tenant(&fleet.client, &tickets).await {
            *total.entry(tenant).or_default() += share;
        }
    }
    // 7 to the capped one, the rest 1 to 3.
    assert!((22..=24).contains(&total["many 1"]) && (69..=71).contains(&total["many 2"]), "{total:?}");
    assert_eq!(total["many 3"], 7);
}

/// Red when the level is that of the tenant with the least: 1,000 times 200 rows are then read.
#[tokio::test]
async fn t62_admission_costs_the_same_with_many_tenants_and_a_long_backlog() {
    let mut pages = Vec::new();
    for (tenants, projects, jobs) in [(1, 400, 1), (100, 4000, 1), (200, 4000, 8)] {
        let database = drydock_testing::database().await;
        let fleet = Fleet::new(&database).await;
        fill(&fleet.client, tenants, projects, jobs).await;
        open_wide(&fleet.client).await;
        cost(&fleet.client, &admit(fleet.term, 100)).await;
        let cost = cost(&fleet.client, &admit(fleet.term, 100)).await;
        assert!((cost.rows - 100.0).abs() < f64::EPSILON, "{cost:?}");
        pages.push(cost.pages);
    }
    // A probe for each tenant that has work; nothing for each job.
    assert!(pages[1] < 2 * pages[0] + 4 * 2 * 100 && pages[2] < 2 * pages[0] + 4 * 2 * 200, "{pages:?}");
}

/// T-54: red when jobs that back off are in the ready index.
#[tokio::test]
async fn t54_a_head_that_backs_off_for_an_hour_costs_the_others_nothing() {
    let mut pages = Vec::new();
    for backing_off in [0, 1, 500] {
        let database = drydock_testing::database().await;
        let fleet = Fleet::new(&database).await;
        fill(&fleet.client, 1, 1000 + backing_off, 2).await;
        open_wide(&fleet.client).await;
        let sql = format!(
            "UPDATE job SET backing_off = true, run_at = now() + interval '1 h', priority = 9
              WHERE id IN (SELECT id FROM job WHERE state = 'queued' ORDER BY queued_at LIMIT {backing_off}); ANALYZE job"
        );
        fleet.client.batch_execute(&sql).await.unwrap();
        cost(&fleet.client, &admit(fleet.term, 100)).await;
        pages.push(cost(&fleet.client, &admit(fleet.term, 100)).await.pages);
        let tickets = fleet.admit().await;
        assert!(tickets.len() == 100 && tickets.iter().all(|ticket| ticket.priority == 1), "{tickets:?}");
    }
    assert!(pages.iter().all(|touched| *touched < pages[0] * 3 / 2 + 100), "{pages:?}");
}
