//! The server: buckets, listener, connections, and an end that lets requests in flight finish.

use std::{path::Path, pin::pin, time::Duration};

use anyhow::Context as _;
use drydock_runtime::{Shutdown, config, exit::Exit, tasks};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use secrecy::ExposeSecret as _;
use tokio::{net::TcpListener, time};

use crate::config::Config;

/// How long requests in flight may take after the stop began.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait before accepting again when accepting failed, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the stop begins.
///
/// # Errors
/// The secret key or a bucket name is unusable, the directory cannot be made, or the address cannot be bound.
pub(crate) async fn run(config: &Config, shutdown: &Shutdown) -> Result<(), Exit> {
    let builder = signed_builder(config).map_err(Exit::Usage)?;
    let listener = bind(config).await.map_err(Exit::Unavailable)?;
    serve(&listener, &builder.build(), shutdown).await;
    Ok(())
}

fn signed_builder(config: &Config) -> anyhow::Result<S3ServiceBuilder> {
    fs_err::create_dir_all(&config.root)?;
    for bucket in &config.bucket {
        anyhow::ensure!(is_plain(bucket), "{bucket:?} is no bucket name (--bucket)");
        fs_err::create_dir_all(config.root.join(bucket))?;
    }
    let storage =
        FileSystem::new(&config.root).map_err(|error| anyhow::anyhow!("open {}: {error:?}", config.root.display()))?;
    let secret = config::secret("AWS_SECRET_ACCESS_KEY")?;
    let mut builder = S3ServiceBuilder::new(storage);
    builder.set_auth(SimpleAuth::from_single(config.access_key.as_str(), secret.expose_secret()));
    Ok(builder)
}

async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let listener =
        TcpListener::bind(config.address).await.with_context(|| format!("bind {} (--address)", config.address))?;
    let address = listener.local_addr()?;
    if let Some(file) = &config.address_file {
        write_whole(file, &address.to_string())?;
    }
    tracing::info!(%address, root = %config.root.display(), "serving S3");
    Ok(listener)
}

/// A bucket becomes a directory: no separators and no leading dot.
fn is_plain(bucket: &str) -> bool {
    bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
        && !bucket.starts_with('.')
        && !bucket.is_empty()
}

/// Whoever polls for the file never reads half an address.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let draft = file.with_extension("new");
    fs_err::write(&draft, text)?;
    fs_err::rename(&draft, file)?;
    Ok(())
}

async fn serve(listener: &TcpListener, service: &S3Service, shutdown: &Shutdown) {
    let connections = GracefulShutdown::new();
    let mut stop = pin!(shutdown.triggered());
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let _no_delay = stream.set_nodelay(true);
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service.clone());
                let connection = connections.watch(connection);
                tasks::spawn("connection", async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "connection ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if time::timeout(GRACE, connections.shutdown()).await.is_err() {
        tracing::warn!(grace_s = GRACE.as_secs(), "stopped with requests in flight");
    }
}
