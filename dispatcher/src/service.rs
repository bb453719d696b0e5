//! Start, loops, orderly stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use drydock_database::{
    Database,
    role::Service,
    wake::{self, Channel, Waker},
};
use drydock_queue::{Broker, QueueMetrics};
use drydock_runtime::{Shutdown, admin, exit::Exit, metrics, tasks};
use drydock_storage::{Credentials, Storage, StorageMetrics};
use drydock_webhook::{Sender, Vault};
use prometheus::Registry;

use crate::{
    DispatcherConfig,
    context::{Context, Wakes},
    lead, loops,
    metrics::DispatcherMetrics,
    webhooks::Courier,
};

/// How long the last round may take when stopping.
const STOP: Duration = Duration::from_secs(10);

/// Runs a dispatcher until `shutdown`.
///
/// # Errors
/// Settings that cannot be used, or a server that cannot be reached at start; the error names the setting.
pub async fn run(config: DispatcherConfig, shutdown: Shutdown) -> Result<(), Exit> {
    let registry = metrics::registry("dispatcher")?;
    let (database, broker, storage) = connect(&config, &registry).await?;
    let fleet = DispatcherMetrics::register(&registry)?;
    let listener = admin::bind(config.admin_addr).await.map_err(Exit::Usage)?;
    let operations = admin::router("dispatcher", registry, database.readiness(), shutdown.clone());
    tasks::spawn("admin", admin::serve(listener, operations, shutdown.clone()));

    let courier = courier(&config, &database, &fleet)?;
    let (lead, candidate) = lead::start(database.clone(), config.lead_ttl, fleet.clone(), shutdown.clone());
    let context = Context {
        waker: Waker::start(&database, &shutdown),
        wakes: Wakes::default(),
        config: Arc::new(config),
        database,
        broker,
        storage,
        metrics: fleet,
        shutdown: shutdown.clone(),
        lead,
    };
    relay_wakes(&context);
    let running = loops::start(&context, courier);
    tracing::info!("dispatching");
    shutdown.triggered().await;
    let stopped = tokio::time::timeout(STOP, async {
        for task in running {
            let _stopped = task.await;
        }
        let _resigned = candidate.await;
    });
    if stopped.await.is_err() {
        tracing::warn!(after_s = STOP.as_secs(), "a loop did not stop in time");
    }
    shutdown.force();
    Ok(())
}

async fn connect(config: &DispatcherConfig, registry: &Registry) -> Result<(Database, Broker, Storage), Exit> {
    let (database_url, amqp_url) = (drydock_database::config::url()?, drydock_queue::config::url()?);
    let broker = Broker::new(&config.queue, &amqp_url, QueueMetrics::register(registry)?)?;
    let storage = Storage::connect(&config.storage, &Credentials::from_env()?, StorageMetrics::register(registry)?);
    drydock_database::again::register(registry)?;
    let database = Database::connect(&config.database, &database_url, Service::Fleet).await?;
    broker.wait().await?;
    storage.wait().await.map_err(|error| Exit::Unavailable(error.into()))?;
    Ok((database, broker, storage))
}

/// What tells webhooks, where there is a key that their secrets are kept with.
fn courier(
    config: &DispatcherConfig,
    database: &Database,
    metrics: &DispatcherMetrics,
) -> Result<Option<Courier>, Exit> {
    let config = config.webhooks.clone();
    let Some(vault) = Vault::from_env()? else {
        tracing::info!("DRYDOCK_WEBHOOK_KEY is not set: no webhook is told anything");
        return Ok(None);
    };
    let sender = Sender::new(config.places.policy(), config.webhook_timeout)
        .context("prepare to tell webhooks (has this host certificates to trust, as of ca-certificates?)");
    let sender = sender.map_err(Exit::Failure)?;
    Ok(Some(Courier { database: database.clone(), config, vault, sender, metrics: metrics.webhooks.clone() }))
}

/// Work is due when another process says so, and when the lead changes hands.
fn relay_wakes(context: &Context) {
    let mut notified = wake::listen(&context.database, Channel::Work, &context.shutdown);
    let (mut lead, wakes) = (context.lead.clone(), context.wakes.clone());
    tasks::spawn("wake", async move {
        loop {
            let changed = tokio::select! {
                changed = notified.changed() => changed,
                changed = lead.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            wakes.all();
        }
    });
}
