//! Settings: where the objects are, where to listen, which keys. The secret key is never an argument, which every user of a
//! host can list.

use std::{net::SocketAddr, path::PathBuf};

use drydock_runtime::telemetry::TelemetryConfig;

/// An S3 server on a directory, for development and tests: no fsync, no atomic `If-None-Match`.
///
/// The secret key comes from `AWS_SECRET_ACCESS_KEY`, or from the file named by `AWS_SECRET_ACCESS_KEY_FILE`.
#[derive(clap::Parser)]
#[command(name = "drydock-s3", version)]
pub(crate) struct Config {
    /// Directory that holds the buckets; made when it is not there
    #[arg(long)]
    pub(crate) root: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) address: SocketAddr,
    /// File that gets the bound `address:port`, whole or not at all, once connections are accepted
    #[arg(long)]
    pub(crate) address_file: Option<PathBuf>,
    /// Bucket that exists from the start; may be given more than once
    #[arg(long)]
    pub(crate) bucket: Vec<String>,
    /// Access key that requests must be signed with
    #[arg(long, env = "AWS_ACCESS_KEY_ID")]
    pub(crate) access_key: String,
    /// What the process says about itself
    #[command(flatten)]
    pub(crate) telemetry: TelemetryConfig,
}
