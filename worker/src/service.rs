//! Start, intake, orderly stop.

use std::{sync::Arc, time::Duration};

use drydock_database::{Database, role::Service, wake::Waker, worker};
use drydock_queue::{Broker, QueueMetrics};
use drydock_runtime::{Shutdown, admin, exit::Exit, metrics, tasks};
use drydock_storage::{Credentials, Storage, StorageMetrics};
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::{
    WorkerConfig,
    advertise::advertise,
    ahead::Fetching,
    breaker::Breaker,
    cache::CacheMetrics,
    context::Context,
    control::{self, Listener},
    cordon::Cordon,
    grouped::Grouped,
    intake::Intake,
    isolation,
    job::{self, Finishing},
    lease::{self, Identity, Lease},
    metrics::WorkerMetrics,
    node, offers,
    running::{Running, Stop},
    spool::Spool,
    workspace::ScratchRoot,
};
use drydock_agent::{Agents, Jail};
use drydock_egress::{Egress, EgressMetrics};

/// Least free space on the scratch disk at start.
pub(crate) const MIN_FREE: u64 = 256 << 20;
/// Between the first questions to storage that failed.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// How long stopped agents may take to be gone and handed back.
const HAND_BACK: Duration = Duration::from_secs(20);

/// Runs a worker until `shutdown`.
///
/// # Errors
/// Settings that cannot be used, or a server that cannot be reached at start; the error names the setting.
pub async fn run(config: WorkerConfig, shutdown: Shutdown) -> Result<(), Exit> {
    let registry = metrics::registry("worker")?;
    let agents = Agents::load(&config.agents).map_err(|error| Exit::Usage(error.into()))?;
    for (name, reason) in agents.unavailable() {
        tracing::warn!(agent = name, "not offered: {reason}");
    }
    for (name, reason) in agents.unavailable_servers() {
        tracing::info!(session = name, "not offered: {reason}");
    }
    let jail = walls(&config).await?;
    let scratch = take_scratch(&config).await?;
    let (database, broker, storage) = connect(&config, &registry).await?;
    let fleet = WorkerMetrics::register(&registry)?;
    let egress = Egress::new(EgressMetrics::register(&registry)?);
    let listener = admin::bind(config.admin_addr).await.map_err(Exit::Usage)?;
    let cache = CacheMetrics::register(&registry)?;
    let materializer = node::materializer(&config, &scratch, &storage, cache, &fleet).await?;
    tasks::spawn("cache", node::give_back(materializer.cache().clone(), shutdown.clone()));
    let breaker = Breaker::new(fleet.outages.breaker_open.clone());
    let told = breaker.clone();
    let readiness = database.readiness().with("storage", move || std::future::ready(told.reason().map_or(Ok(()), Err)));
    let operations = admin::router("worker", registry, readiness, shutdown.clone());
    tasks::spawn("admin", admin::serve(listener, operations, shutdown.clone()));

    let context = Context {
        instance: instance(&config).into(),
        agents: Arc::new(agents),
        jail,
        egress,
        scratch,
        waker: Waker::start(&database, &shutdown),
        materializer,
        cordon: Cordon::new(fleet.draining.clone()),
        metrics: fleet,
        running: Running::default(),
        finishes: Arc::new(Grouped::start("finish", config.slots(), Finishing(database.clone()))),
        breaker,
        tasks: TaskTracker::new(),
        config: Arc::new(config),
        database,
        storage,
    };
    serve(context, broker, shutdown).await
}

/// The walls around jobs, tried out.
async fn walls(config: &WorkerConfig) -> Result<Option<Jail>, Exit> {
    let (wanted, scratch) = (config.isolation.clone(), config.scratch_dir.clone());
    let granted = tokio::task::spawn_blocking(move || isolation::grant(&wanted, &scratch)).await;
    let jail = granted.map_err(|error| Exit::Failure(error.into()))?.map_err(|error| Exit::Usage(error.into()))?;
    if jail.is_none() {
        tracing::warn!("DRYDOCK_ISOLATION=none: jobs may do and read whatever this worker may");
    }
    Ok(jail)
}

async fn serve(context: Context, broker: Broker, shutdown: Shutdown) -> Result<(), Exit> {
    // Before registering, which ends what an earlier worker on this scratch directory ran.
    if Spool::of(&context.scratch).tell_all(&context.database).await > 0 {
        context.waker.wake_all();
    }
    let (unknown, unknown_claims) = mpsc::unbounded_channel();
    let (lease, identity) = Lease::take(context.lease(unknown), &shutdown).await?;
    // Its predecessor on this scratch directory is over: what it ran can go on elsewhere at once.
    context.waker.wake_all();
    tasks::spawn("unknown claims", job::end_unknown(context.clone(), unknown_claims));
    context.metrics.isolation.granted(context.isolation());
    if let Some(jail) = context.jail.clone() {
        let (every, metrics) = (context.config.isolation.isolation_recheck, context.metrics.isolation.clone());
        tasks::spawn("isolation", isolation::watch(jail, every, metrics, shutdown.clone()));
    }
    let (offering, offers) = offers::offers(context.metrics.offers.clone());
    let listener = Listener { renew: lease.renew_now(), offering, fetching: Fetching::start(&context, &shutdown) };
    tasks::spawn("control", control::heed(broker.clone(), identity.clone(), listener, shutdown.clone()));
    tasks::spawn("advertise", advertise(context.clone(), identity.clone(), shutdown.clone()));
    tasks::spawn("breaker", context.breaker.clone().probe(context.storage.clone(), PROBE_PAUSE, shutdown.clone()));
    let intake = Intake::new(context.clone(), broker, (identity.clone(), lease.renew_now()), offers, shutdown.clone());
    let intake = tasks::spawn("intake", intake.run());
    shutdown.triggered().await;
    drain(&context, &identity, intake, &shutdown).await;
    lease::end(&context.database, *identity.borrow()).await;
    context.waker.wake_all();
    lease.release().await;
    shutdown.force();
    Ok(())
}

/// Claims stop at once, jobs get their time, what is left is handed back; the lease is kept meanwhile. A second signal, or the
/// end of the time, stops agents at once.
async fn drain(context: &Context, identity: &Identity, intake: tokio::task::JoinHandle<()>, shutdown: &Shutdown) {
    let id = *identity.borrow();
    // Who uses one of its sessions cannot follow it elsewhere: they end, and keep what was done.
    context.running.release_all(Stop::Draining);
    let drained = async { worker::drain(&context.database.client().await?, id).await };
    let finished = async {
        // Told while the intake ends: a claim that is on its way then fails, and its ticket goes elsewhere.
        let (drained, _stopped) = tokio::join!(drained, intake);
        if let Err(error) = drained {
            tracing::warn!("failed to say that this worker drains: {}", drydock_runtime::exit::chain(&error));
        }
        context.running.release_all(Stop::Draining);
        context.tasks.close();
        tracing::info!(jobs = context.running.len(), "draining");
        context.tasks.wait().await;
    };
    tokio::pin!(finished);
    tokio::select! {
        () = &mut finished => return,
        () = shutdown.forced() => {}
        () = tokio::time::sleep(context.config.drain_timeout) => {}
    }
    tracing::warn!(jobs = context.running.len(), "handing back what still runs");
    let handing_back = async {
        loop {
            // Again: a claim that was under way may have brought one more.
            context.running.stop_all(Stop::Draining);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let patience = HAND_BACK + context.config.agents.grace;
    let handed_back = async {
        tokio::select! {
            () = finished => {}
            () = handing_back => {}
        }
    };
    if tokio::time::timeout(patience, handed_back).await.is_err() {
        tracing::error!(
            jobs = context.running.len(),
            "some jobs could not be handed back; the dispatcher takes them back"
        );
    }
}

async fn take_scratch(config: &WorkerConfig) -> Result<ScratchRoot, Exit> {
    let path = config.scratch_dir.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let root = ScratchRoot::open(&path, MIN_FREE)?;
        let strays = drydock_agent::end_strays(root.path())?;
        let removed = root.sweep()?;
        Ok::<_, anyhow::Error>((root, strays, removed))
    });
    let (root, strays, removed) = taken.await.map_err(|error| Exit::Failure(error.into()))?.map_err(Exit::Usage)?;
    if strays > 0 || removed > 0 {
        tracing::warn!(processes = strays, entries = removed, "removed what an earlier worker left behind");
    }
    Ok(root)
}

async fn connect(config: &WorkerConfig, registry: &Registry) -> Result<(Database, Broker, Storage), Exit> {
    let (database_url, amqp_url) = (drydock_database::config::url()?, drydock_queue::config::url()?);
    let broker = Broker::new(&config.queue, &amqp_url, QueueMetrics::register(registry)?)?;
    let storage = Storage::connect(&config.storage, &Credentials::from_env()?, StorageMetrics::register(registry)?);
    drydock_database::again::register(registry)?;
    let database = Database::connect(&config.database, &database_url, Service::Fleet).await?;
    broker.wait().await?;
    storage.wait().await.map_err(|error| Exit::Unavailable(error.into()))?;
    Ok((database, broker, storage))
}

/// Host and scratch directory; the lock on the latter makes it one worker's.
fn instance(config: &WorkerConfig) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}:{}", config.scratch_dir.display())
}
