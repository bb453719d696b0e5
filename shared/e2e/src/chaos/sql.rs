//! The run's own connection to PostgreSQL, past every proxy.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio_postgres::{Client, Config, NoTls};

/// One connection; as short-lived as the server may be.
///
/// # Errors
/// The server does not answer.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let mut config: Config = url.parse().context("a URL made here")?;
    config.connect_timeout(Duration::from_secs(5)).application_name("chaos");
    let (client, connection) = config.connect(NoTls).await.context("connect to PostgreSQL")?;
    drydock_runtime::tasks::spawn("connection", connection);
    Ok(client)
}
