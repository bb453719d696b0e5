//! The servers behind the API, asked directly where their settings are given here.

use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, error::ErrorKind};
use drydock_database::{Database, DatabaseConfig, DatabaseError, migrate::newest, schema};
use drydock_domain::{Digest, TenantId};
use drydock_queue::{Broker, QueueConfig, QueueMetrics};
use drydock_runtime::{
    config::{ConfigError, optional_secret},
    doctor::Finding,
    exit::chain,
};
use drydock_storage::{Credentials, Storage, StorageConfig, StorageMetrics};
use tokio::time::{Instant, timeout};

use super::LIMIT;

/// All that is tried with object storage.
const STORAGE_LIMIT: Duration = Duration::from_secs(15);

pub(super) async fn database() -> Finding {
    const CHECK: &str = "database";
    const REMEDY: &str = "start PostgreSQL, or correct DRYDOCK_DATABASE_URL";
    let url = match optional_secret(drydock_database::config::URL) {
        Ok(Some(url)) => url,
        Ok(None) => return Finding::skipped(CHECK, "not asked directly", "set DRYDOCK_DATABASE_URL"),
        Err(error) => return setting(CHECK, &error),
    };
    let asked = async {
        let database = Database::new(&DatabaseConfig::default(), &url)?;
        schema::applied(&database.client().await?).await
    };
    match timeout(LIMIT, asked).await {
        Ok(Ok(found)) => schema_of(found, newest()),
        Ok(Err(error @ DatabaseError::NotGranted { .. })) => {
            Finding::failure(CHECK, chain(&error), "grant the role its rights, or use another's URL")
        }
        Ok(Err(error)) => Finding::failure(CHECK, chain(&error), REMEDY),
        Err(_) => Finding::failure(CHECK, silent("PostgreSQL", LIMIT), REMEDY),
    }
}

fn schema_of(found: u32, needed: u32) -> Finding {
    let what = format!("the schema is at {found}, this build needs {needed}");
    match found {
        _ if found < needed => Finding::failure("database", what, "run `drydock admin migrate`"),
        _ if found > needed => Finding::warning("database", what, "install the command of the newer release"),
        _ => Finding::ok("database", what),
    }
}

pub(super) async fn broker() -> Finding {
    const CHECK: &str = "broker";
    const REMEDY: &str =
        "start RabbitMQ, or correct DRYDOCK_AMQP_URL; meanwhile workers ask PostgreSQL for their tickets";
    let url = match optional_secret(drydock_queue::config::URL) {
        Ok(Some(url)) => url,
        Ok(None) => return Finding::skipped(CHECK, "not asked", "set DRYDOCK_AMQP_URL"),
        Err(error) => return setting(CHECK, &error),
    };
    let config = QueueConfig { amqp_timeout: LIMIT, ..QueueConfig::default() };
    let began = Instant::now();
    let asked = async {
        let metrics = QueueMetrics::register(&Default::default()).map_err(|error| error.to_string())?;
        let broker = Broker::new(&config, &url, metrics).map_err(|error| chain(&error))?;
        broker.check().await.map_err(|error| chain(&error))
    };
    match asked.await {
        Ok(()) => Finding::ok(CHECK, format!("RabbitMQ lets this command in, in {} ms", began.elapsed().as_millis())),
        Err(error) => Finding::failure(CHECK, error, REMEDY),
    }
}

/// The services' settings of object storage, from the environment alone.
#[derive(Parser)]
struct StorageSettings {
    #[command(flatten)]
    storage: StorageConfig,
}

pub(super) async fn storage() -> Finding {
    const CHECK: &str = "storage";
    let config = match StorageSettings::try_parse_from(["drydock"]) {
        Ok(settings) => StorageConfig { timeout: LIMIT, ..settings.storage },
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
            return Finding::skipped(CHECK, "not asked", "set DRYDOCK_S3_BUCKET, DRYDOCK_S3_ENDPOINT and AWS_…");
        }
        Err(error) => return Finding::failure(CHECK, error.to_string(), "correct the setting that is named"),
    };
    let credentials = match Credentials::from_env() {
        Ok(credentials) => credentials,
        Err(error) => return setting(CHECK, &error),
    };
    let began = Instant::now();
    let remedy = "look at DRYDOCK_S3_ENDPOINT, DRYDOCK_S3_BUCKET, the key pair and what it may do: put, get and delete";
    match timeout(STORAGE_LIMIT, Box::pin(write_and_read(&config, &credentials))).await {
        Ok(Ok(())) => {
            let took = began.elapsed().as_millis();
            Finding::ok(CHECK, format!("bucket {}: an object written, read and deleted in {took} ms", config.bucket))
        }
        Ok(Err(error)) => Finding::failure(CHECK, error, remedy),
        Err(_) => Finding::failure(CHECK, silent("object storage", STORAGE_LIMIT), remedy),
    }
}

async fn write_and_read(config: &StorageConfig, credentials: &Credentials) -> Result<(), String> {
    let metrics = StorageMetrics::register(&Default::default()).map_err(|error| error.to_string())?;
    let storage = Storage::connect(config, credentials, metrics);
    let content = Bytes::from(uuid::Uuid::now_v7().to_string());
    let key = storage.keys(TenantId::DEFAULT).trial(Digest::of(&content));
    let step = |what: &'static str| move |error| format!("cannot {what}: {}", chain(&error));
    storage.check().await.map_err(step("reach the bucket"))?;
    storage.put(&key, content.clone()).await.map_err(step("write"))?;
    let read = storage.get(&key, content.len() as u64).await.map_err(step("read"));
    // Deleted also where it could not be read.
    storage.delete(&key).await.map_err(step("delete"))?;
    if read? == content { Ok(()) } else { Err("what was read is not what was written".to_owned()) }
}

fn setting(check: &'static str, error: &ConfigError) -> Finding {
    Finding::failure(check, chain(error), "correct the setting that is named")
}

fn silent(who: &str, limit: Duration) -> String {
    format!("{who} did not answer within {} s", limit.as_secs())
}

#[cfg(test)]
mod tests {
    use drydock_runtime::doctor::Verdict;

    use super::*;

    #[test]
    fn only_an_older_schema_stops_services() {
        assert!(matches!(schema_of(3, 4).verdict, Verdict::Failure(_)));
        assert_eq!(schema_of(4, 4).verdict, Verdict::Ok);
        assert!(matches!(schema_of(5, 4).verdict, Verdict::Warning(_)));
    }
}
