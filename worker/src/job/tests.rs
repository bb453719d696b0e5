//! Whole attempts at `command` jobs, on a real PostgreSQL and a real S3 server: what they cost these.

use std::{sync::Arc, time::Duration};

use clap::Parser as _;
use drydock_agent::Agents;
use drydock_database::{
    job::{self, Claimed, NewJob},
    project::{self, NewProject},
    wake::Waker,
    worker,
};
use drydock_domain::{AttemptId, Isolation, JobId, JobType, ProjectId, TenantId, Ticket, WorkerId};
use drydock_storage::{Credentials, Storage, StorageMetrics};
use drydock_testing::{Proxy, TestDatabase, until};
use prometheus::Registry;
use tokio_util::task::TaskTracker;

use super::{Attempt, Finishing};
use crate::{
    WorkerConfig, boottime::BootInstant, breaker::Breaker, cache::CacheMetrics, context::Context, cordon::Cordon,
    grouped::Grouped, metrics::WorkerMetrics, node, running::Running, workspace::ScratchRoot,
};

const TENANT: TenantId = TenantId::DEFAULT;
const HOUR: Duration = Duration::from_secs(3600);

/// One worker with one project.
struct Fleet {
    context: Context,
    client: drydock_database::Client,
    worker: WorkerId,
    project: ProjectId,
    registry: Registry,
    storage: drydock_storage::StorageConfig,
    _database: TestDatabase,
    _scratch: tempfile::TempDir,
}

impl Fleet {
    /// Logs are flushed after this long.
    async fn new(log_flush: &str) -> Self {
        let (database, scratch, registry) =
            (drydock_testing::database().await, tempfile::tempdir().unwrap(), Registry::new());
        let path = scratch.path().display().to_string();
        let storage = drydock_testing::storage_config();
        let config = WorkerConfig::parse_from([
            "drydock-worker",
            "--s3-bucket",
            &storage.bucket,
            "--scratch-dir",
            &path,
            "--log-flush",
            log_flush,
            "--slots",
            "4",
        ]);
        let storage_config = storage.clone();
        let storage =
            Storage::connect(&storage, &Credentials::from_env().unwrap(), StorageMetrics::register(&registry).unwrap());
        let metrics = WorkerMetrics::register(&registry).unwrap();
        let root = ScratchRoot::open(&config.scratch_dir, 0).unwrap();
        let cache = CacheMetrics::register(&registry).unwrap();
        let materializer = node::materializer(&config, &root, &storage, cache, &metrics).await.unwrap();
        let context = Context {
            breaker: Breaker::new(metrics.outages.breaker_open.clone()),
            cordon: Cordon::new(metrics.draining.clone()),
            agents: Arc::new(Agents::load(&config.agents).unwrap()),
            jail: None,
            egress: drydock_egress::Egress::default(),
            scratch: root,
            database: database.database.clone(),
            storage,
            materializer,
            waker: Waker::default(),
            metrics,
            running: Running::default(),
            finishes: Arc::new(Grouped::start("finish", config.slots(), Finishing(database.database.clone()))),
            tasks: TaskTracker::new(),
            instance: "here".into(),
            config: Arc::new(config),
        };
        context.running.deadline.put_off(BootInstant::now(), HOUR);
        let client = database.client().await.unwrap();
        let worker = WorkerId::generate();
        worker::start(&client, &context.describe(worker), HOUR).await.unwrap();
        let project = new_project(&client).await;
        Self {
            context,
            client,
            worker,
            project,
            registry,
            storage: storage_config,
            _database: database,
            _scratch: scratch,
        }
    }

    /// Runs a script as one attempt at a job of its own; answers when it is finished.
    async fn run(&self, script: &str) -> AttemptId {
        let mut new = NewJob::new(self.project, JobType::Command, "t".to_owned(), String::new());
        new.argv = Some(["sh", "-c", script].map(ToOwned::to_owned).to_vec());
        job::accept(&self.client, TENANT, &new).await.unwrap();
        let attempt = AttemptId::generate();
        let scratch = self.context.scratch.create(attempt).unwrap();
        let claim = self.claim(new.id, attempt).await;
        Attempt::new(&self.context, new.id, attempt, claim, scratch).run().await;
        let sql = "SELECT state::text, detail FROM attempt WHERE id = $1";
        let ended = self.client.query_one(sql, &[&attempt.uuid()]).await.unwrap();
        let (state, detail) = (ended.get::<_, String>(0), ended.get::<_, Option<String>>(1));
        assert_eq!((state.as_str(), detail), ("succeeded", None));
        attempt
    }

    async fn claim(&self, job: JobId, attempt: AttemptId) -> job::Claim {
        const DISPATCH: &str =
            "UPDATE job SET state = 'dispatched', dispatch_seq = dispatch_seq + 1, dispatched_at = now()
            WHERE id = $1 RETURNING dispatch_seq";
        let seq: i32 = self.client.query_one(DISPATCH, &[&job.uuid()]).await.unwrap().get(0);
        let ticket = Ticket::new(job, seq, "default".to_owned(), 0);
        match job::claim(&self.client, &ticket, attempt, self.worker, "/scratch").await.unwrap() {
            Claimed::Mine(claim) => *claim,
            other => panic!("{other:?}"),
        }
    }

    /// Requests made to object storage so far.
    fn requests(&self) -> u64 {
        let families = self.registry.gather();
        let requests = families.iter().find(|family| family.name() == "drydock_storage_request_seconds");
        requests.map_or(0, |family| family.get_metric().iter().map(|one| one.get_histogram().get_sample_count()).sum())
    }

    /// Rows of the attempt's log, its bytes as told, and the object it became.
    async fn log(&self, attempt: AttemptId) -> (Vec<Vec<u8>>, i64, Option<String>) {
        let chunks = "SELECT data FROM log_chunk WHERE attempt_id = $1 ORDER BY seq";
        let chunks = self.client.query(chunks, &[&attempt.uuid()]).await.unwrap();
        let told = "SELECT log_bytes, log_object FROM attempt WHERE id = $1";
        let told = self.client.query_one(told, &[&attempt.uuid()]).await.unwrap();
        (chunks.iter().map(|row| row.get(0)).collect(), told.get(0), told.get(1))
    }

    /// Goes on as a node that has nothing yet, and reaches object storage through what is answered first.
    async fn on_a_cold_node(&mut self) -> (Proxy, tempfile::TempDir) {
        let mut storage = self.storage.clone();
        let server = storage.endpoint.as_deref().and_then(|url| url.strip_prefix("http://")).unwrap();
        let (proxy, cache) = (Proxy::start(server.to_owned()).await, tempfile::tempdir().unwrap());
        storage.endpoint = Some(format!("http://{}", proxy.address()));
        let mut config = (*self.context.config).clone();
        config.cache_dir = Some(cache.path().to_owned());
        let (storage, metrics) =
            (drydock_testing::storage(&storage), CacheMetrics::register(&Registry::new()).unwrap());
        let (scratch, counted) = (&self.context.scratch, &self.context.metrics);
        self.context.materializer = node::materializer(&config, scratch, &storage, metrics, counted).await.unwrap();
        (proxy, cache)
    }

    /// What was told of fetches.
    async fn preparing(&self) -> Vec<String> {
        let events =
            "SELECT data ->> 'message' FROM event WHERE kind = 'progress' AND data ->> 'message' LIKE 'preparing%'
            ORDER BY id";
        self.client.query(events, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn progress(&self, attempt: AttemptId) -> i64 {
        let events = "SELECT count(*) FROM event e JOIN attempt a ON a.job_id = e.job_id
            WHERE a.id = $1 AND e.kind = 'progress' AND e.data ->> 'message' <> ''";
        self.client.query_one(events, &[&attempt.uuid()]).await.unwrap().get(0)
    }
}

async fn new_project(client: &drydock_database::Client) -> ProjectId {
    let new = NewProject {
        id: ProjectId::generate(),
        tenant: TENANT,
        instruction: String::new(),
        agent: "command".to_owned(),
        pool: "default".to_owned(),
        labels: serde_json::json!({}),
        min_isolation: Isolation::None,
    };
    project::create(client, &new).await.unwrap();
    new.id
}

#[tokio::test]
async fn a_small_job_makes_no_request_to_storage_and_one_row_of_log() {
    let fleet = Fleet::new("1h").await;
    let attempt = fleet.run("echo said").await;
    assert_eq!(fleet.requests(), 0, "an empty base, an unchanged workspace and a small log need no object storage");
    let (chunks, bytes, object) = fleet.log(attempt).await;
    assert_eq!((chunks.len(), object), (1, None));
    assert_eq!(chunks[0].len(), usize::try_from(bytes).unwrap());
    assert!(String::from_utf8_lossy(&chunks[0]).contains("\nsaid\n"));
    assert!(chunks[0].ends_with(b"[worker] Generated files:\n"), "the log is complete");
    assert!(fleet.progress(attempt).await >= 3);
    assert_eq!(fleet.context.scratch.sweep().unwrap(), 0, "nothing of it stays on disk");
}

#[tokio::test]
async fn what_was_stored_is_ready_for_the_next_job_and_an_unchanged_workspace_is_not_stored() {
    let fleet = Fleet::new("1h").await;
    fleet.run("mkdir dir; echo text > dir/file; ln -s file dir/link").await;
    // What was stored is read back, so that the next job finds it here.
    let stored = until("a pack and a manifest are stored, the pack read", HOUR / 120, || async {
        Some(fleet.requests()).filter(|requests| *requests == 3)
    })
    .await;
    // Where files were copied, those younger than a step of the clock prove nothing; the look at them must not be that early.
    let attempt = fleet.run("sleep 0.05; cat dir/file").await;
    assert_eq!(fleet.requests() - stored, 0, "all of it is on this node");
    assert_eq!(fleet.log(attempt).await.0.len(), 1);
    assert!(fleet.preparing().await.is_empty(), "nothing is told of what takes no time");
}

#[tokio::test]
async fn what_is_ignored_and_what_of_the_rules_is_not_heeded_stands_in_the_log() {
    let fleet = Fleet::new("1h").await;
    let attempt = fleet.run("printf '*.log\\n[z-a]\\n' > .drydockignore; echo > a.log; echo > kept").await;
    let log = String::from_utf8(fleet.log(attempt).await.0.concat()).unwrap();
    assert!(
        log.contains("\n[worker] Not stored: 1 entries that are ignored (.drydockignore, leftovers of Git)\n"),
        "{log}"
    );
    assert!(log.contains("\n[worker] Warning: .drydockignore line 2 is not heeded: "), "{log}");
    assert!(log.contains("[worker]   - kept (1 lines)") && !log.contains("a.log"), "{log}");
}

#[tokio::test]
async fn a_version_that_takes_long_to_fetch_tells_how_far_it_is() {
    let mut fleet = Fleet::new("1ms").await;
    fleet.run("head -c 9000000 /dev/urandom > large").await;
    let (proxy, _cache) = fleet.on_a_cold_node().await;
    // Each piece of each answer, of which there are hundreds.
    proxy.delay(Duration::from_millis(300));
    let watched = async {
        until("it is told", HOUR / 120, || async { fleet.preparing().await.into_iter().next() }).await;
        proxy.heal();
    };
    tokio::join!(fleet.run("test -s large"), watched);
    let told = fleet.preparing().await;
    assert!(told[0].starts_with("preparing: fetched ") && told[0].ends_with(" of 8.6 MiB"), "{told:?}");
    assert!(told.windows(2).all(|two| two[0] != two[1]), "nothing is told twice: {told:?}");
}

#[tokio::test]
async fn what_was_flushed_and_what_was_not_make_one_log() {
    let fleet = Fleet::new("1ms").await;
    let attempt = fleet.run("echo first; sleep 0.3; echo last").await;
    let (chunks, bytes, object) = fleet.log(attempt).await;
    assert!(chunks.len() > 1, "nothing was flushed, so this test shows nothing");
    let whole = chunks.concat();
    assert_eq!(whole.len(), usize::try_from(bytes).unwrap());
    let text = String::from_utf8(whole).unwrap();
    assert!(text.find("\nfirst\n").unwrap() < text.find("\nlast\n").unwrap());
    assert_eq!((object, fleet.requests()), (None, 0));
}

#[tokio::test]
async fn a_log_of_more_than_one_row_becomes_an_object() {
    let fleet = Fleet::new("1h").await;
    let attempt = fleet.run("head -c 40000 /dev/zero | tr '\\0' x | fold -w 100").await;
    until("the log is sealed", HOUR / 120, || async { fleet.log(attempt).await.2 }).await;
    let (chunks, bytes, _) = fleet.log(attempt).await;
    assert!(chunks.is_empty() && bytes > 40_000);
    assert_eq!(fleet.requests(), 1);
}
