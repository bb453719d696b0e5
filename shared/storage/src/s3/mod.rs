//! `Storage`: the handle to the bucket, the only place that talks to S3.
//!
//! Owns requests: signing, timeouts, retries, conditional writes, metrics. Objects are written once and never
//! changed: a key is a hash of the bytes or belongs to one attempt. So every write carries `If-None-Match: *`, and an
//! answer that the object exists already is success. It knows nothing of what the bytes mean.

mod fold;
mod list;
mod retry;

pub use self::list::{Listed, Listing};

use std::{future::Future, ops::Range, sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::SdkError,
    operation::get_object::GetObjectOutput,
    primitives::{ByteStream, Length},
};
use aws_smithy_http_client::tls;
use base64::Engine as _;
use bytes::Bytes;
use drydock_domain::TenantId;
use drydock_runtime::start;
use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;

use self::fold::{CHECK, DELETE, GET, HEAD, LIST, Operation, PUT, fold, unavailable};
use crate::{
    Credentials, StorageConfig, StorageError, StorageErrorKind, StorageMetrics,
    keys::{Keys, ObjectKey},
};

/// Uploads slower than this are given up: the timeout of an upload is the general one plus its size over this.
const SLOWEST_UPLOAD_BYTES_PER_SECOND: u64 = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FILE_BUFFER: usize = 128 << 10;

/// Handle to the bucket; clones share one connection pool.
#[derive(Clone, Debug)]
pub struct Storage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    bucket: String,
    prefix: String,
    timeout: Duration,
    start_timeout: Duration,
    metrics: StorageMetrics,
}

/// A finished local file that is to become an object.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) file: NamedTempFile,
    pub(crate) len: u64,
    /// CRC-32C of all of it, sent along so that the server can refuse damaged bytes.
    pub(crate) crc32c: u32,
}

impl Storage {
    /// Builds the client. Does no I/O: [`Self::check`] does.
    pub fn connect(config: &StorageConfig, credentials: &Credentials, metrics: StorageMetrics) -> Self {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let http = aws_smithy_http_client::Builder::new().tls_provider(provider).build_https();
        let key = aws_sdk_s3::config::Credentials::new(
            credentials.access_key.expose_secret(),
            credentials.secret_key.expose_secret(),
            None,
            None,
            "environment",
        );
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
        // Whole objects are verified by their BLAKE3 id and partial reads by crc32c, so the SDK's own checksums, which
        // not every S3-compatible server understands, are left out where S3 does not demand them.
        let mut builder = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(config.region.clone()))
            .credentials_provider(key)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = config.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
            builder = builder.endpoint_url(endpoint).force_path_style(true);
        }
        Self {
            inner: Arc::new(Inner {
                client: Client::from_conf(builder.build()),
                bucket: config.bucket.clone(),
                prefix: config.prefix.clone(),
                timeout: config.timeout,
                start_timeout: config.start_timeout,
                metrics,
            }),
        }
    }

    /// The keys of a tenant's objects.
    pub fn keys(&self, tenant: TenantId) -> Keys<'_> {
        Keys::new(&self.inner.prefix, tenant)
    }

    /// Waits at start until the bucket can be reached. A wrong bucket or key does not pass by itself and fails at once.
    pub async fn wait(&self) -> Result<(), StorageError> {
        let passes: fn(&StorageError) -> bool = |error| error.kind() == StorageErrorKind::Unavailable;
        start::wait_for("object storage", self.inner.start_timeout, passes, || self.check()).await
    }

    /// Whether the bucket can be reached with these credentials; one try, for readiness and start-up.
    pub async fn check(&self) -> Result<(), StorageError> {
        let head = self.inner.client.head_bucket().bucket(&self.inner.bucket).send();
        self.timed(CHECK, self.inner.timeout, async { head.await.map_err(|e| self.fold(CHECK, None, e)) }).await?;
        Ok(())
    }

    /// Stores `bytes` unless the object exists.
    pub async fn put(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StorageError> {
        let crc = crc32c::crc32c(&bytes);
        let len = bytes.len() as u64;
        self.retry(PUT, || self.put_once(key, len, crc, async { Ok(ByteStream::from(bytes.clone())) })).await
    }

    /// Stores a local file unless the object exists, streaming it from disk.
    pub(crate) async fn put_file(&self, key: &ObjectKey, sealed: &SealedFile) -> Result<(), StorageError> {
        self.retry(PUT, || self.put_once(key, sealed.len, sealed.crc32c, sealed.body())).await
    }

    /// All of an object, which must not be longer than `limit` bytes.
    pub async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Bytes, StorageError> {
        self.retry(GET, || self.get_once(key, None, limit)).await
    }

    /// Bytes `range` of an object; all of them, or an error. Held in memory: ask for a few MiB at most.
    pub async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        self.retry_get(|| self.get_range_once(key, range.clone())).await
    }

    /// As [`Self::get_range`], with a single request.
    pub async fn get_range_once(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StorageError> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.get_once(key, Some(&range), len).await?;
        if bytes.len() as u64 != len {
            return Err(StorageError::corrupt(key.as_str(), "shorter than its index says"));
        }
        Ok(bytes)
    }

    /// Runs a request to read until it succeeds, fails for good or was tried often enough, with full jitter between.
    ///
    /// # Errors
    /// That of the last try.
    pub async fn retry_get<T, F>(&self, request: impl FnMut() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        self.retry(GET, request).await
    }

    /// The last `len` bytes of an object, or all of it when it is shorter. Asks for the length first: not every server
    /// gets a suffix range right that is longer than the object.
    pub async fn get_tail(&self, key: &ObjectKey, len: u64) -> Result<Bytes, StorageError> {
        let end = self.length(key).await?;
        self.get_range(key, end.saturating_sub(len)..end).await
    }

    /// Bytes of an object.
    pub async fn length(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        self.retry(HEAD, || self.head_once(key)).await
    }

    /// Deletes an object; that it does not exist is no error.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StorageError> {
        self.retry(DELETE, || self.delete_once(key)).await
    }

    /// As [`Self::delete`], with a single request: after success none is under way any more.
    pub async fn delete_once(&self, key: &ObjectKey) -> Result<(), StorageError> {
        let delete = self.inner.client.delete_object().bucket(&self.inner.bucket).key(key.as_str()).send();
        self.timed(DELETE, self.inner.timeout, async {
            match delete.await {
                Err(error) if fold::status(&error) == Some(404) => Ok(()),
                result => result.map(drop).map_err(|error| self.fold(DELETE, Some(key), error)),
            }
        })
        .await
    }

    async fn put_once(
        &self,
        key: &ObjectKey,
        len: u64,
        crc32c: u32,
        body: impl Future<Output = Result<ByteStream, StorageError>>,
    ) -> Result<(), StorageError> {
        let limit = self.inner.timeout + Duration::from_secs(len / SLOWEST_UPLOAD_BYTES_PER_SECOND);
        self.timed(PUT, limit, async {
            let request = self
                .inner
                .client
                .put_object()
                .bucket(&self.inner.bucket)
                .key(key.as_str())
                .if_none_match("*")
                .content_length(i64::try_from(len).unwrap_or(i64::MAX))
                .checksum_crc32_c(base64::engine::general_purpose::STANDARD.encode(crc32c.to_be_bytes()))
                .body(body.await?);
            match request.send().await {
                Ok(_) => self.inner.metrics.sent.inc_by(len),
                Err(error) if fold::status(&error) == Some(412) => {}
                // A server that has the object may answer and close before it has read the body, and the answer is lost
                // with the connection, whether that was reset or closed.
                Err(SdkError::DispatchFailure(_) | SdkError::ResponseError(_)) if self.exists(key).await => {}
                Err(error) => return Err(self.fold(PUT, Some(key), error)),
            }
            Ok(())
        })
        .await
    }

    /// Whether a single look at the object finds it.
    async fn exists(&self, key: &ObjectKey) -> bool {
        // Boxed: a request of the SDK inside another one is much for a stack.
        Box::pin(self.head_once(key)).await.is_ok()
    }

    async fn head_once(&self, key: &ObjectKey) -> Result<u64, StorageError> {
        let head = self.inner.client.head_object().bucket(&self.inner.bucket).key(key.as_str()).send();
        self.timed(HEAD, self.inner.timeout, async {
            let head = head.await.map_err(|error| self.fold(HEAD, Some(key), error))?;
            Ok(head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default())
        })
        .await
    }

    async fn get_once(&self, key: &ObjectKey, range: Option<&Range<u64>>, limit: u64) -> Result<Bytes, StorageError> {
        self.timed(GET, self.inner.timeout, async {
            let request = self.inner.client.get_object().bucket(&self.inner.bucket).key(key.as_str());
            let response = request
                .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end - 1)))
                .send()
                .await
                .map_err(|error| self.fold(GET, Some(key), error))?;
            if range.is_some_and(|range| !is_of(range, &response)) {
                return Err(unavailable(GET, "it answered with other bytes than the range that was asked for"));
            }
            let length = response.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(limit);
            if length > limit {
                return Err(StorageError::TooLarge { what: format!("object {key}"), limit });
            }
            let mut body = response.body;
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            while let Some(part) = body.next().await {
                let part = part.map_err(|error| unavailable(GET, error))?;
                if (bytes.len() + part.len()) as u64 > limit {
                    return Err(StorageError::TooLarge { what: format!("object {key}"), limit });
                }
                bytes.extend_from_slice(&part);
            }
            self.inner.metrics.received.inc_by(bytes.len() as u64);
            Ok(bytes.into())
        })
        .await
    }

    async fn retry<T, F>(&self, operation: Operation, request: impl FnMut() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        retry::retry(request, || self.inner.metrics.retries.with_label_values(&[operation.label]).inc()).await
    }

    async fn timed<T>(
        &self,
        operation: Operation,
        limit: Duration,
        request: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let start = std::time::Instant::now();
        let result = tokio::time::timeout(limit, request)
            .await
            .unwrap_or(Err(StorageError::Timeout { operation: operation.verb }));
        let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        let seconds = start.elapsed().as_secs_f64();
        self.inner.metrics.request_seconds.with_label_values(&[operation.label, outcome]).observe(seconds);
        result
    }

    fn fold<E>(
        &self,
        operation: Operation,
        key: Option<&ObjectKey>,
        error: SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
    ) -> StorageError
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        fold(operation, &self.inner.bucket, key, error)
    }
}

/// Whether an answer begins where `range` does (`Content-Range`, RFC 9110 section 14.4). One without the header is all of the
/// object, because a server may ignore that a range was asked for; that may be the range.
fn is_of(range: &Range<u64>, answer: &GetObjectOutput) -> bool {
    match answer.content_range() {
        Some(text) => {
            text.strip_prefix("bytes ").and_then(|text| text.split_once('-')?.0.parse().ok()) == Some(range.start)
        }
        None => {
            range.start == 0 && answer.content_length().and_then(|length| u64::try_from(length).ok()) == Some(range.end)
        }
    }
}

impl SealedFile {
    async fn body(&self) -> Result<ByteStream, StorageError> {
        let path = self.file.path();
        let file = tokio::fs::File::from_std(self.file.reopen().map_err(StorageError::io(path))?);
        ByteStream::read_from()
            .file(file)
            .buffer_size(FILE_BUFFER)
            .length(Length::Exact(self.len))
            .build()
            .await
            .map_err(|error| StorageError::Io { path: path.into(), source: std::io::Error::other(error) })
    }
}
