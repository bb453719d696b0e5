//! A database and a place in the bucket, with versions that are really stored.

use std::time::Duration;

use drydock_collector::{Collector, CollectorConfig, Pass};
use drydock_database::{
    Client, Database, pack,
    project::{self, Imported, NewProject},
    report::{StoredPack, StoredTree},
};
use drydock_domain::{Digest, Isolation, Mode, ObjectKind, ProjectId, RelativePath, TenantId};
use drydock_storage::{BoxError, Limits, Manifest, ObjectKey, Once, PackRegistry, Storage, WriteOptions, write_tree};
use drydock_testing::TestDatabase;

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

pub(crate) struct Place {
    pub(crate) database: TestDatabase,
    pub(crate) storage: Storage,
    pub(crate) client: Client,
}

/// Announces for nobody in particular, as the API does.
struct Rows(Database);

impl PackRegistry for Rows {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        let object = pack::Object { tenant: TENANT, kind, id };
        Ok(pack::announce(&self.0.client().await?, object, bytes, None).await?)
    }
}

/// Nothing is left alone for longer than it takes.
pub(crate) fn at_once() -> CollectorConfig {
    CollectorConfig {
        gc_grace: Duration::from_nanos(1),
        gc_condemned_for: Duration::from_nanos(1),
        gc_settle: Duration::from_secs(3600),
        gc_batch: 100,
        keep_failed_workspaces: Duration::from_nanos(1),
    }
}

impl Place {
    pub(crate) async fn new() -> Self {
        let database = drydock_testing::database().await;
        let storage = drydock_testing::storage(&drydock_testing::storage_config());
        let client = database.client().await.unwrap();
        Self { database, storage, client }
    }

    pub(crate) fn collector(&self, config: CollectorConfig) -> Collector {
        Collector::new(self.database.database.clone(), self.storage.clone(), config)
    }

    /// Passes until one had nothing to do.
    pub(crate) async fn collect(&self, config: CollectorConfig) -> Pass {
        let collector = self.collector(config);
        let idle = Pass { is_round: true, ..Pass::default() };
        let mut sum = Pass::default();
        for _ in 0..20 {
            let pass = collector.pass().await.unwrap();
            if pass == idle {
                return sum;
            }
            sum.judged.dropped.objects += pass.judged.dropped.objects;
            sum.judged.orphaned.objects += pass.judged.orphaned.objects;
            sum.deletion.deleted.objects += pass.deletion.deleted.objects;
            sum.deletion.deleted.bytes += pass.deletion.deleted.bytes;
            sum.projects += pass.projects;
            sum.logs += pass.logs;
        }
        panic!("it never comes to rest: {sum:?}");
    }

    /// Stores a tree of one file: announced and uploaded, named by nothing.
    pub(crate) async fn store(&self, content: &'static [u8]) -> StoredTree {
        let options =
            WriteOptions { tenant: TENANT, base: None, limits: Limits::default(), temp_dir: std::env::temp_dir() };
        let rows = Rows(self.database.database.clone());
        let written = write_tree(&self.storage, options, &rows, move |writer| {
            writer.add_file("file".parse::<RelativePath>().unwrap(), Mode::new(0o644), &mut Once(content))
        });
        let written = written.await.unwrap().unwrap();
        let manifest: &Manifest = &written.manifest;
        StoredTree {
            tree_id: manifest.tree_id().to_string(),
            manifest_id: manifest.id().to_string(),
            delta: None,
            packs: written.packs.iter().map(|p| StoredPack { id: p.id.to_string(), bytes: p.bytes }).collect(),
            file_count: 1,
            total_bytes: content.len() as u64,
        }
    }

    /// A project with a stored tree as its version 1.
    pub(crate) async fn import(&self, content: &'static [u8]) -> (ProjectId, StoredTree) {
        let tree = self.store(content).await;
        let id = self.name(&tree).await;
        (id, tree)
    }

    /// A project whose version 1 is a tree that is stored already.
    pub(crate) async fn name(&self, tree: &StoredTree) -> ProjectId {
        let new = NewProject {
            id: ProjectId::generate(),
            tenant: TENANT,
            instruction: "keep it".to_owned(),
            agent: "dummy".to_owned(),
            pool: "default".to_owned(),
            labels: serde_json::json!({}),
            min_isolation: Isolation::None,
        };
        assert_eq!(project::import(&self.client, &new, tree).await.unwrap(), Imported::Made);
        new.id
    }

    pub(crate) async fn delete(&self, project: ProjectId) {
        assert_eq!(project::delete(&self.client, TENANT, project, 100).await.unwrap(), project::Deleted::Done);
    }

    /// The keys of a tree's objects.
    pub(crate) fn keys(&self, tree: &StoredTree) -> Vec<ObjectKey> {
        let keys = self.storage.keys(TENANT);
        let packs = tree.packs.iter().map(|pack| keys.pack(pack.id.parse().unwrap()));
        packs.chain([keys.manifest(tree.manifest_id.parse().unwrap())]).collect()
    }

    /// How many of a tree's objects are in the bucket.
    pub(crate) async fn stored(&self, tree: &StoredTree) -> usize {
        let mut stored = 0;
        for key in self.keys(tree) {
            stored += usize::from(self.storage.length(&key).await.is_ok());
        }
        stored
    }

    /// Objects in the bucket, and their bytes.
    pub(crate) async fn listed(&self) -> (usize, u64) {
        let (mut objects, mut bytes) = (0, 0);
        for kind in ObjectKind::ALL {
            let mut listing = self.storage.list(TENANT, kind);
            while let Some(page) = listing.page().await.unwrap() {
                objects += page.len();
                bytes += page.iter().map(|object| object.bytes).sum::<u64>();
            }
        }
        (objects, bytes)
    }

    pub(crate) async fn rows(&self) -> i64 {
        self.client.query_one("SELECT count(*) FROM pack", &[]).await.unwrap().get(0)
    }
}
