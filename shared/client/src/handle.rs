//! The handle on one server: where it is, who asks, and how patiently. It knows no route's meaning; `operations` does.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Call, ClientError, address};

/// How long to try again when the server is away, for a command that does not wait.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where notices for people go.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// A cheap-to-clone handle on one server.
#[derive(Clone)]
pub struct Client {
    pub(super) http: reqwest::Client,
    pub(super) server: Url,
    pub(super) patience: Duration,
    pub(super) notice: Notice,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("server", &self.server.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the API at `server`, like `http://127.0.0.1:8080`. Connects when first used.
    ///
    /// # Errors
    /// The address or the key cannot be used.
    pub fn new(server: &str, key: Option<&SecretString>) -> Result<Self, ClientError> {
        // Already installed is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let server = address::parse(server)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("drydock-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(authorization(key)?);
        if server.scheme() == "http" {
            // Certificates are not needed, and a host without any can still be used.
            builder = builder.tls_certs_only(std::iter::empty());
        }
        if address::is_loopback(&server) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(ClientError::Setup)?;
        Ok(Self { http, server, patience: PATIENCE, notice: Arc::new(|_| {}) })
    }

    /// Tells people of retries through `notice`.
    #[must_use]
    pub fn with_notice(mut self, notice: Notice) -> Self {
        self.notice = notice;
        self
    }

    /// Tries again for this long when the server is away.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The server's address.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// Whether it is on this machine.
    pub fn is_near(&self) -> bool {
        address::is_loopback(&self.server)
    }

    /// A GET of `/api/v1/…`, one segment each.
    pub fn get<S: AsRef<[u8]>>(&self, path: impl IntoIterator<Item = S>) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// A POST to `/api/v1/…`. Not tried again unless it gets an idempotency key.
    pub fn post<S: AsRef<[u8]>>(&self, path: impl IntoIterator<Item = S>) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// A PATCH of `/api/v1/…`.
    pub fn patch<S: AsRef<[u8]>>(&self, path: impl IntoIterator<Item = S>) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// A PUT to `/api/v1/…`.
    pub fn put<S: AsRef<[u8]>>(&self, path: impl IntoIterator<Item = S>) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// A DELETE of `/api/v1/…`.
    pub fn delete<S: AsRef<[u8]>>(&self, path: impl IntoIterator<Item = S>) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// A GET at the root of the server, outside `/api/v1`.
    pub fn get_at_root(&self, path: &str) -> Call<'_> {
        Call::new(self, Method::GET, address::below(&self.server, [path]))
    }

    fn call<S: AsRef<[u8]>>(&self, method: Method, path: impl IntoIterator<Item = S>) -> Call<'_> {
        Call::new(self, method, address::api(&self.server, path))
    }
}

fn authorization(key: Option<&SecretString>) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map_err(|_| ClientError::Key)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
