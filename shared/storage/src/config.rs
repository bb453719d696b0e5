//! `StorageConfig`: where the bucket is and how to sign for it. Read once; does no I/O.

use std::time::Duration;

use drydock_runtime::config::{ConfigError, positive_duration, secret};
use secrecy::SecretString;

/// Settings of the connection to object storage.
#[derive(Clone, Debug, clap::Args)]
pub struct StorageConfig {
    /// URL of an S3-compatible server, addressed path-style; AWS S3 when unset
    #[arg(long = "s3-endpoint", env = "DRYDOCK_S3_ENDPOINT")]
    pub endpoint: Option<String>,
    /// Bucket that holds everything; it must exist
    #[arg(long = "s3-bucket", env = "DRYDOCK_S3_BUCKET")]
    pub bucket: String,
    /// Put before every object key, for a bucket shared with others (a `/` at its end is yours to write)
    #[arg(long = "s3-prefix", env = "DRYDOCK_S3_PREFIX", default_value = "")]
    pub prefix: String,
    /// Region to sign for
    #[arg(long = "s3-region", env = "DRYDOCK_S3_REGION", default_value = "us-east-1")]
    pub region: String,
    /// Longest wait for one answer; uploads get more by their size
    #[arg(long = "s3-timeout", env = "DRYDOCK_S3_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub timeout: Duration,
    /// How long to wait at start for the bucket before giving up
    #[arg(long = "s3-start-timeout", env = "DRYDOCK_S3_START_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub start_timeout: Duration,
}

/// The key pair that signs requests.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Access key id.
    pub access_key: SecretString,
    /// Secret access key.
    pub secret_key: SecretString,
}

impl Credentials {
    /// Reads `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the files named by the same with `_FILE`.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self { access_key: secret("AWS_ACCESS_KEY_ID")?, secret_key: secret("AWS_SECRET_ACCESS_KEY")? })
    }
}
