//! `Sender`: one POST of one message, and what came of it.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
    redirect,
};

use crate::{
    policy::{Policy, Scheme},
    resolver::Checked,
    target::{Target, TargetError},
};

/// Most of an answer that is read, so that a receiver that writes a little is not cut off.
const READ: usize = 64 * 1024;
/// How long that may take: the status has said all there is to know.
const DRAIN: Duration = Duration::from_secs(1);

/// A message, signed.
#[derive(Clone, Debug)]
pub struct Message {
    /// `webhook-id`, the same with each try.
    pub id: String,
    /// `webhook-timestamp`, seconds since 1970, of this try.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The JSON that was signed.
    pub body: Bytes,
}

/// Why a message did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host is, or has, an address that is not allowed.
    Address,
    /// The host's name cannot be looked up.
    Dns,
    /// No connection.
    Connect,
    /// No trust: the certificate is wrong, or the other side speaks no TLS.
    Tls,
    /// No answer in time.
    Timeout,
    /// An answer that is not HTTP, or a connection that broke.
    Broken,
    /// It says to ask elsewhere, which is not done.
    Redirect,
    /// 410: it wants no more.
    Gone,
    /// Any other status but success.
    Status,
}

impl Failure {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Address,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Broken,
        Self::Redirect,
        Self::Gone,
        Self::Status,
    ];

    /// The word for logs, metrics and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address_refused",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Redirect => "redirect",
            Self::Gone => "gone",
            Self::Status => "status",
        }
    }
}

/// What came of one try.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// `None`: it arrived.
    pub failure: Option<Failure>,
    /// How long it took to know.
    pub took: Duration,
}

/// Sends messages by the rules of one policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    policy: Policy,
    https: Client,
    http: Client,
    timeout: Duration,
}

impl Sender {
    /// A sender that waits `timeout` for an answer.
    ///
    /// # Errors
    /// The host has no certificates to trust.
    pub fn new(policy: Policy, timeout: Duration) -> reqwest::Result<Self> {
        // Already installed is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = |scheme| {
            let builder = Client::builder()
                .user_agent(concat!("drydock-webhook/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Checked { policy: policy.clone(), scheme })
                .redirect(redirect::Policy::none())
                .referer(false)
                // A proxy would look the name up itself.
                .no_proxy()
                // Each try looks anew.
                .pool_max_idle_per_host(0)
                .connect_timeout(timeout);
            match scheme {
                Scheme::Https => builder.https_only(true),
                // Needs none, and a host without any can still send these.
                Scheme::Http => builder.tls_certs_only(std::iter::empty()),
            }
            .build()
        };
        Ok(Self { https: client(Scheme::Https)?, http: client(Scheme::Http)?, policy, timeout })
    }

    /// The rules it goes by.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sends `message` to the URL `to`, which is judged again.
    pub async fn send(&self, to: &str, message: &Message) -> Attempt {
        let began = Instant::now();
        let outcome = match Target::parse(to, &self.policy) {
            Ok(target) => tokio::time::timeout(self.timeout, self.post(&target, message)).await,
            Err(_) => Ok(Err(Failure::Address)),
        };
        let took = began.elapsed();
        match outcome.unwrap_or(Err(Failure::Timeout)) {
            Err(failure) => Attempt { status: None, failure: Some(failure), took },
            Ok(answer) => {
                let status = answer.status();
                drain(answer).await;
                Attempt { status: Some(status.as_u16()), failure: judge(status), took }
            }
        }
    }

    async fn post(&self, target: &Target, message: &Message) -> Result<reqwest::Response, Failure> {
        let client = match target.scheme() {
            Scheme::Https => &self.https,
            Scheme::Http => &self.http,
        };
        client
            .post(target.url().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", &message.signature)
            .body(message.body.clone())
            .send()
            .await
            .map_err(|error| failure(&error))
    }
}

fn judge(status: StatusCode) -> Option<Failure> {
    match status {
        _ if status.is_success() => None,
        StatusCode::GONE => Some(Failure::Gone),
        _ if status.is_redirection() => Some(Failure::Redirect),
        _ => Some(Failure::Status),
    }
}

/// Reads a little of the answer, for politeness; it changes nothing.
async fn drain(mut answer: reqwest::Response) {
    let read = async {
        let mut left = READ;
        while let Ok(Some(chunk)) = answer.chunk().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _cut_off = tokio::time::timeout(DRAIN, read).await;
}

/// What went wrong, by the chain of causes: the outermost says only at which step.
fn failure(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        match inner.downcast_ref::<TargetError>() {
            // What a name stands for inside is not told: as if it were not there.
            Some(TargetError::Unknown(_) | TargetError::Inside(_)) => return Failure::Dns,
            Some(_) => return Failure::Address,
            None => {}
        }
        if is_tls(inner) {
            return Failure::Tls;
        }
        cause = inner.source();
    }
    match error {
        _ if error.is_timeout() => Failure::Timeout,
        _ if error.is_connect() => Failure::Connect,
        _ => Failure::Broken,
    }
}

/// TLS failures come inside of I/O errors, one in another, which do not name them as their sources.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inside.is_some_and(|inner| is_tls(inner))
}
