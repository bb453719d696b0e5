//! Objects of a fleet, and a look at them.

use std::time::Duration;

use drydock_database::{
    Client, Database,
    job::{Finish, Finished, finish},
    pack::{self, Judged},
    report::StoredTree,
    retention::{self, Retention},
};
use drydock_domain::{AttemptId, Digest, JobId, ObjectKind, Outcome, ProjectId, TenantId};

use crate::support::{Fleet, announce, report, tree};

/// No grace at all: what is suspect is judged at once.
pub(super) const NOW: Duration = Duration::ZERO;
pub(super) const MOST: i32 = 100;

/// A fleet whose writers and collector have connections of their own.
pub(super) struct Store {
    pub(super) fleet: Fleet,
    pub(super) collector: Client,
}

impl Store {
    pub(super) async fn new(database: &Database) -> Self {
        Self { fleet: Fleet::new(database).await, collector: database.client().await.unwrap() }
    }

    /// A job that runs, ready to finish with `tree`, whose objects are announced.
    pub(super) async fn pushed(&self, tree: &StoredTree) -> Finish {
        self.fleet.plain().await;
        let (job, attempt) = self.fleet.running().await;
        announce(&self.fleet.client, job, tree).await;
        told(job, attempt, tree)
    }

    /// A version with these files.
    pub(super) async fn publish(&self, tree: &StoredTree) {
        let told = self.pushed(tree).await;
        assert_eq!(finish(&self.fleet.client, &told).await.unwrap(), Finished::Ok);
    }

    /// Keeps the newest version only, and drops the others.
    pub(super) async fn keep_newest(&self) -> i32 {
        let keep = Retention { versions: Some(1), seconds: None };
        assert!(retention::set_of_project(&self.collector, self.fleet.project, keep).await.unwrap());
        self.retain().await
    }

    /// Drops what no retention keeps.
    pub(super) async fn retain(&self) -> i32 {
        retention::retain(&self.collector, None, MOST, MOST, NOW).await.unwrap().expired
    }

    pub(super) async fn condemn(&self) -> Judged {
        pack::condemn(&self.collector, NOW, MOST).await.unwrap()
    }

    /// Frees deleted projects as far as it can be done now.
    pub(super) async fn free(&self) {
        for log in retention::dead_logs(&self.collector, NOW, 100).await.unwrap() {
            retention::forget_log(&self.collector, log.attempt).await.unwrap();
        }
        let mut after = None;
        while let Some(freed) = retention::free_project(&self.collector, after, MOST).await.unwrap() {
            after = Some(freed.deleted);
        }
    }

    /// The state of the object that `tree(byte)` has as pack and manifest; `-` where it has no row.
    pub(super) async fn state(&self, byte: u8) -> String {
        let id = Digest::from_bytes([byte; 32]);
        let object = pack::Object { tenant: TenantId::DEFAULT, kind: ObjectKind::Pack, id };
        pack::known(&self.collector, object).await.unwrap().state.unwrap_or_else(|| "-".to_owned())
    }
}

/// The default tenant's object of this byte.
pub(super) fn object(byte: u8) -> pack::Object {
    pack::Object { tenant: TenantId::DEFAULT, kind: ObjectKind::Pack, id: Digest::from_bytes([byte; 32]) }
}

/// A version of `project` with the same objects as version 1 of another one.
pub(super) async fn fork(client: &Client, from: ProjectId, project: ProjectId) -> bool {
    let held = "SELECT dd_hold_objects_v1(p.tenant_id, v.pack_ids || v.manifest_id) FROM version v JOIN project p ON p.id = v.project_id
      WHERE v.project_id = $1 AND v.number = 1";
    if !client.query_one(held, &[&from.uuid()]).await.unwrap().get::<_, bool>(0) {
        return false;
    }
    let made = "INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
      SELECT $2, 1, 0, tree_id, manifest_id, pack_ids, file_count, total_bytes, 'fork', $1 FROM version WHERE project_id = $1 AND number = 1";
    client.execute(made, &[&from.uuid(), &project.uuid()]).await.unwrap();
    client.execute("UPDATE project SET head_version = 1 WHERE id = $1", &[&project.uuid()]).await.unwrap();
    true
}

pub(super) fn told(job: JobId, attempt: AttemptId, tree: &StoredTree) -> Finish {
    Finish { tree: Some(tree.clone()), ..Finish::new(job, attempt, Outcome::Succeeded, report()) }
}

/// A tree whose manifest is `tree(byte)`'s, and that needs the packs of others as well.
pub(super) fn tree_with(byte: u8, others: &[u8]) -> StoredTree {
    let mut made = tree(byte);
    made.packs.extend(others.iter().flat_map(|other| tree(*other).packs));
    made
}
