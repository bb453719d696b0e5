//! Versions made by hand beside jobs.

use drydock_database::{
    job::{self, Claimed},
    version::{Author, ByHand, Changed, change_files},
};
use drydock_domain::{AttemptId, TenantId};
use uuid::Uuid;

use crate::support::{Fleet, announce, tree};

const WAITS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Red when the version is made between the claim's look at the head and its commit: the run would end in a conflict.
#[tokio::test]
async fn a_change_by_hand_waits_for_a_claim_and_then_sees_it() {
    let database = drydock_testing::database().await;
    let fleet = Fleet::new(&database).await;
    let writer = fleet.plain().await;
    let ticket = fleet.admit().await.remove(0);
    let made = tree(1);
    announce(&fleet.client, writer, &made).await;
    let new = ByHand {
        project: fleet.project,
        base: 0,
        tree: made,
        author: Author::User(Uuid::now_v7()),
        while_running: false,
    };

    let (mut claiming, changing) = (database.client().await.unwrap(), database.client().await.unwrap());
    let claim = claiming.transaction().await.unwrap();
    let claimed = job::claim(&claim, &ticket, AttemptId::generate(), fleet.worker, "/scratch/x").await.unwrap();
    assert!(matches!(claimed, Claimed::Mine(_)), "{claimed:?}");
    let commit = async {
        drydock_testing::until("the change waits", std::time::Duration::from_secs(20), || async {
            let row = fleet.client.query_one(WAITS, &[]).await.ok()?;
            (row.get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        claim.commit().await.unwrap();
    };
    let (changed, ()) = tokio::join!(change_files(&changing, TenantId::DEFAULT, &new), commit);
    assert_eq!((changed.unwrap(), fleet.head().await), (Changed::Busy(writer), 0));
    let beside = ByHand { while_running: true, ..new };
    assert_eq!(change_files(&changing, TenantId::DEFAULT, &beside).await.unwrap(), Changed::Made(1));
}
