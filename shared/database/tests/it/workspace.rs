//! Who holds a workspace: what the API's tests cannot bring about.

use std::time::Duration;

use drydock_database::workspace::{self, Connect, Connected};
use drydock_domain::TenantId;
use uuid::Uuid;

use crate::support::Fleet;

const LEASE: Duration = Duration::from_secs(60);

/// Red when a connection that another one has replaced, and does not know it yet, can claim or is taken to be there.
#[tokio::test]
async fn a_connection_that_was_replaced_claims_nothing_and_is_not_there() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let client = &fleet.client;
    let connect = async |connection| {
        let daemon = Connect {
            project: fleet.project,
            instance: Uuid::nil(),
            connection,
            agents: vec!["dummy".to_owned()],
            build: String::new(),
        };
        let connected = workspace::connect(client, TenantId::DEFAULT, &daemon, LEASE).await.unwrap();
        assert!(matches!(connected, Connected::Yes { .. }), "{connected:?}");
    };
    let (old, new) = (Uuid::now_v7(), Uuid::now_v7());
    connect(old).await;
    connect(new).await;
    fleet.plain().await;
    let claimed = async |connection| workspace::claim(client, fleet.project, connection, &[], 3).await.unwrap();
    let seen = async |connection| workspace::seen(client, fleet.project, connection, None).await.unwrap();
    let head = async |connection| workspace::head(client, fleet.project, connection).await.unwrap();
    assert!(claimed(old).await.is_empty());
    assert_eq!((seen(old).await, head(old).await), (None, None));
    workspace::left(client, fleet.project, old, true).await.unwrap();
    assert_eq!((seen(new).await, head(new).await), (Some(0), Some(0)), "nor does its leaving matter");
    assert_eq!(claimed(new).await.len(), 1);
}

/// Red when a job that is copied from one that was with a daemon waits for a daemon that nobody runs.
#[tokio::test]
async fn a_job_for_a_daemon_goes_home_where_there_is_none() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let job = fleet.plain().await;
    let copy = "INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, agent, pool, state)
                SELECT gen_random_uuid(), tenant_id, project_id, job_type, title, instruction, agent, '@workspace', 'scheduled'
                  FROM job WHERE id = $1 RETURNING pool, (SELECT pool FROM project p WHERE p.id = project_id) AS home";
    let row = fleet.client.query_one(copy, &[&job.uuid()]).await.unwrap();
    assert_eq!(row.get::<_, &str>("pool"), row.get::<_, &str>("home"));
}
